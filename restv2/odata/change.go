package odata

import (
	"net/http"
	"strings"
)

// made is an entity that a changeset makes.
type made struct {
	set    *EntitySet
	insert *Insert
	entity Entity
	key    string // once it is made
}

func (s *Server) change(c *call, t *target) (*response, error) {
	switch {
	case t.property != nil || t.count || t.value:
		return nil, Errorf(http.StatusMethodNotAllowed, "The HTTP method '%s' is not allowed for properties.", clip(c.method))
	case t.links:
		return s.changeLinks(c, t)
	}
	switch c.method {
	case http.MethodPost:
		if !t.many {
			return nil, Errorf(http.StatusMethodNotAllowed, "The HTTP method 'POST' is not allowed for an entity.")
		}
		in, err := s.readInsert(c, t)
		if err != nil {
			return nil, err
		}
		resp, _, err := s.create(c, in)
		return resp, err
	case "MERGE", http.MethodPatch, http.MethodPut:
		return s.merge(c, t)
	case http.MethodDelete:
		return s.delete(c, t)
	}
	return nil, Errorf(http.StatusMethodNotAllowed, "The HTTP method '%s' is not known.", clip(c.method))
}

// readInsert reads the body of a POST to the collection t, which the caller may
// make.
func (s *Server) readInsert(c *call, t *target) (*Insert, error) {
	if !t.set.allows(http.MethodPost) && (t.nav == nil || !t.nav.Deep) {
		return nil, wrongMethod(t.set, c.method)
	}
	if err := s.allow(c, http.MethodPost, t.set.Name); err != nil {
		return nil, err
	}
	o, err := s.body(c)
	if err != nil {
		return nil, err
	}
	in, err := s.insert(t.set, o)
	if err != nil || t.parent == nil {
		return in, err
	}
	ref := t.parent.ref()
	in.Parent, in.Navigation = &ref, t.nav.Name
	if via := t.nav.Via; via != "" && t.nav.Many && t.parent.key != "" {
		if said, ok := in.Values[via]; ok && !same(said, t.parent.key) {
			return nil, BadRequest("The property '%s' names another entity than the URL.", via)
		}
		in.Values[via] = t.parent.key
	}
	return in, nil
}

// create makes an entity and answers with it.
func (s *Server) create(c *call, in *Insert) (*response, *Result, error) {
	h, ok := s.c.Sets[in.Set.Name].(Creator)
	if !in.Set.allows(http.MethodPost) {
		return nil, nil, wrongMethod(in.Set, http.MethodPost)
	}
	if !ok {
		return nil, nil, notServed(in.Set, http.MethodPost)
	}
	if err := s.finish(in); err != nil {
		return nil, nil, err
	}
	result, err := h.Create(c.ctx, in)
	if err != nil {
		return nil, nil, err
	}
	resp, err := s.created(c, in.Set, result)
	return resp, result, err
}

// created answers with a new entity.
func (s *Server) created(c *call, set *EntitySet, result *Result) (*response, error) {
	left := 0
	rec, err := s.record(c, set, result.Entity, nil, &left)
	if err != nil {
		return nil, err
	}
	status := http.StatusCreated
	if result.Operation != "" {
		status = http.StatusAccepted
	}
	resp := s.writeRecord(c, status, rec)
	resp.header.Set("Location", c.root+set.keyURL(rec.key))
	if result.Operation != "" {
		resp.header.Set("Operation-Id", result.Operation)
	}
	return resp, nil
}

func (s *Server) merge(c *call, t *target) (*response, error) {
	h, ok := s.c.Sets[t.set.Name].(Updater)
	if t.many || !t.set.allows(c.method) {
		return nil, wrongMethod(t.set, "MERGE")
	}
	if !ok {
		return nil, notServed(t.set, c.method)
	}
	if err := s.allow(c, "MERGE", t.set.Name); err != nil {
		return nil, err
	}
	o, err := s.body(c)
	if err != nil {
		return nil, err
	}
	change, err := s.update(c, t, o)
	if err != nil {
		return nil, err
	}
	result, err := h.Update(c.ctx, t.key, change)
	if err != nil {
		return nil, err
	}
	return s.done(c, result), nil
}

func (s *Server) delete(c *call, t *target) (*response, error) {
	h, ok := s.c.Sets[t.set.Name].(Deleter)
	if t.many || !t.set.allows(c.method) {
		return nil, wrongMethod(t.set, c.method)
	}
	if !ok {
		return nil, notServed(t.set, c.method)
	}
	if err := s.allow(c, http.MethodDelete, t.set.Name); err != nil {
		return nil, err
	}
	result, err := h.Delete(c.ctx, t.key, c.query)
	if err != nil {
		return nil, err
	}
	return s.done(c, result), nil
}

// done answers to what leaves nothing to show.
func (s *Server) done(_ *call, result *Result) *response {
	resp := newResponse(http.StatusNoContent)
	resp.header.Set("DataServiceVersion", "1.0;")
	if result != nil && result.Operation != "" {
		resp.status = http.StatusAccepted
		resp.header.Set("Operation-Id", result.Operation)
	}
	return resp
}

// changeLinks serves POST, PUT and DELETE of $links.
func (s *Server) changeLinks(c *call, t *target) (*response, error) {
	source := t.parent.set
	h, ok := s.c.Sets[source.Name].(Linker)
	if t.nav.Links && !ok {
		return nil, NotServed("Changing the links '" + t.nav.Name + "'")
	}
	if !t.nav.Links {
		return nil, Errorf(http.StatusMethodNotAllowed, "The links '%s' of the entity set '%s' cannot be changed.", t.nav.Name, source.Name)
	}
	if err := s.allow(c, "MERGE", source.Name); err != nil {
		return nil, err
	}
	to := Ref{Set: t.set.Name, Key: t.linked}
	switch {
	case c.method == http.MethodDelete && (to.Key != "" || !t.nav.Many):
		return s.done(c, nil), h.Unlink(c.ctx, t.parent.key, t.nav.Name, to)
	case c.method == http.MethodPost && t.nav.Many, (c.method == http.MethodPut || c.method == "MERGE") && !t.nav.Many:
		uri, err := s.reference(c)
		if err != nil {
			return nil, err
		}
		if to, err = s.linkTarget(c, t.nav, uri); err != nil {
			return nil, err
		}
		return s.done(c, nil), h.Link(c.ctx, t.parent.key, t.nav.Name, to)
	}
	return nil, Errorf(http.StatusMethodNotAllowed, "The HTTP method '%s' is not allowed for these links.", clip(c.method))
}

// linkTarget reads a URI, which in a changeset may be $1.
func (s *Server) linkTarget(c *call, nav *Navigation, uri string) (Ref, error) {
	if m := c.made[uri[strings.LastIndexByte(uri, '/')+1:]]; m != nil {
		if m.set.Name != nav.Set || m.key == "" {
			return Ref{}, BadRequest("The URI '%s' does not name an entity of '%s'.", clip(uri), nav.Set)
		}
		return Ref{m.set.Name, m.key}, nil
	}
	return s.refTo(nav, uri)
}

// call calls a function or action.
func (s *Server) call(c *call, f *Function, key string) (*response, error) {
	h := s.c.Calls[f.ID()]
	if h == nil {
		return nil, NotServed("The function '" + f.ID() + "'")
	}
	if c.method != f.Method {
		e := Errorf(http.StatusMethodNotAllowed, "The function '%s' is called by %s.", f.Name, f.Method)
		e.Header = http.Header{"Allow": {f.Method}}
		return nil, e
	}
	method := f.Method
	if f.Returns == "" {
		method = http.MethodPost
	}
	if err := s.allow(c, method, f.ID()); err != nil {
		return nil, err
	}
	args, err := s.arguments(c, f)
	if err != nil {
		return nil, err
	}
	result, err := h(c.ctx, key, args)
	if err != nil {
		return nil, err
	}
	if f.Returns == "" || result == nil || result.Operation != "" {
		return s.done(c, result), nil
	}
	v, err := s.model.convert(f.Returns, result.Value, fromHandler)
	if err != nil {
		return nil, Errorf(http.StatusInternalServerError, "%s: %v", f.ID(), err)
	}
	return s.writeValue(c, f.Name, f.Returns, v), nil
}

// arguments reads the parameters of a GET from the query, where their names
// have no case (the PHP SDK writes ProtectionKeyId) and their texts may come
// without quotes, and those of a POST from the body.
func (s *Server) arguments(c *call, f *Function) (Entity, error) {
	args := Entity{}
	given := map[string]any{}
	if f.Method == http.MethodPost {
		o, err := s.body(c)
		if err != nil {
			return nil, err
		}
		for _, mb := range o.members {
			given[strings.ToLower(mb.name)] = mb.value
		}
	} else {
		for name, values := range c.query {
			v := strings.TrimSpace(values[0])
			if text, ok := unquote(v); ok {
				v = text
			}
			given[strings.ToLower(name)] = v
		}
	}
	for _, p := range f.Parameters {
		v, ok := given[strings.ToLower(p.Name)]
		if !ok || v == nil {
			if f.Method == http.MethodGet {
				return nil, BadRequest("The parameter '%s' of the function '%s' is missing.", p.Name, f.Name)
			}
			continue
		}
		out, err := s.model.convert(p.Type, v, fromInsert)
		if err != nil {
			return nil, BadRequest("The parameter '%s' of the function '%s' cannot be taken: %v.", p.Name, f.Name, err)
		}
		args[p.Name] = out
	}
	return args, nil
}
