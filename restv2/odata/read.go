package odata

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// A record is an entity ready to be written.
type record struct {
	set     *EntitySet
	key     string
	values  Entity
	show    *selection
	related map[string]*list // by navigation: what $expand or a deep insert asks for
	single  map[string]*record
}

// A list is a page of records ready to be written.
type list struct {
	set     *EntitySet
	records []*record
	count   int64
	counted bool
	next    string // URL; may be empty
	source  string // URL below the root that the list was asked for by
}

func (s *Server) get(c *call, t *target) (*response, error) {
	switch {
	case t.made != nil:
		return nil, BadRequest("A reference to an entity of the changeset cannot be read.")
	case t.links:
		return s.getLinks(c, t)
	case t.many:
		return s.getCollection(c, t)
	case t.property != nil:
		return s.getProperty(c, t)
	}
	if !t.set.allows(http.MethodGet) {
		return nil, wrongMethod(t.set, c.method)
	}
	e, err := s.load(c, t)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"$filter", "$orderby", "$top", "$skip", "$skiptoken", "$inlinecount"} {
		if c.query.Has(name) {
			return nil, BadRequest("Query options $orderby, $inlinecount, $skip and $top cannot be applied to the requested resource.")
		}
	}
	o, err := s.options(t.set, c.query)
	if err != nil {
		return nil, err
	}
	left := maxExpanded
	rec, err := s.record(c, t.set, e, o.show, &left)
	if err != nil {
		return nil, err
	}
	return s.writeRecord(c, http.StatusOK, rec), nil
}

// ask answers q for the collection that t names.
func (s *Server) ask(c *call, t *target, q *Query) (*Page, error) {
	var page *Page
	var err error
	if t.parent != nil {
		page, err = s.related(c, t.parent, t.nav, q)
	} else if err = s.allow(c, http.MethodGet, t.set.Name); err == nil {
		page, err = s.c.Sets[t.set.Name].Query(c.ctx, q)
	}
	if err == nil && len(page.Entities) > q.Top {
		page.Entities = page.Entities[:q.Top]
	}
	return page, err
}

func (s *Server) getCollection(c *call, t *target) (*response, error) {
	if !t.set.allows(http.MethodGet) {
		return nil, wrongMethod(t.set, c.method)
	}
	o, err := s.options(t.set, c.query)
	if err != nil {
		return nil, err
	}
	if t.count {
		q := o.Query
		q.Count, q.Top, q.Skip, q.After, q.Orders = true, 0, 0, "", nil
		page, err := s.ask(c, t, &q)
		if err != nil {
			return nil, err
		}
		return plain(strconv.FormatInt(page.Count, 10)), nil
	}
	page, err := s.ask(c, t, &o.Query)
	if err != nil {
		return nil, err
	}
	l := &list{set: t.set, count: page.Count, counted: o.inline, source: strings.TrimLeft(c.path, "/")}
	if page.Next != "" && (!o.limited || o.rest > 0) {
		l.next = nextLink(c, page.Next, o)
	}
	left := maxExpanded
	if l.records, err = s.records(c, t.set, page.Entities, o.show, &left); err != nil {
		return nil, err
	}
	return s.writeList(c, l), nil
}

// nextLink is the URL of the page after this one.
func nextLink(c *call, token string, o *options) string {
	q := url.Values{}
	for name, values := range c.query {
		if name != "$skip" && name != "$top" {
			q[name] = values
		}
	}
	if o.rest > 0 {
		q.Set("$top", strconv.Itoa(o.rest))
	}
	q.Set("$skiptoken", token)
	return c.root + (&url.URL{Path: strings.TrimLeft(c.path, "/")}).EscapedPath() + "?" + strings.ReplaceAll(q.Encode(), "%24", "$")
}

func (s *Server) records(c *call, set *EntitySet, entities []Entity, show *selection, left *int) ([]*record, error) {
	out := make([]*record, len(entities))
	for i, e := range entities {
		var err error
		if out[i], err = s.record(c, set, e, show, left); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// record makes an entity ready to be written. left is how many entities
// $expand may still add.
func (s *Server) record(c *call, set *EntitySet, e Entity, show *selection, left *int) (*record, error) {
	key, err := s.keyOf(set, e)
	if err != nil {
		return nil, err
	}
	rec := &record{set: set, key: key, show: show, values: Entity{}}
	for _, p := range set.Properties {
		if rec.values[p.Name], err = s.model.convert(p.Type, e[p.Name], fromHandler); err != nil {
			return nil, Errorf(http.StatusInternalServerError, "%s/%s: %v", set.Name, p.Name, err)
		}
	}
	t := &target{set: set, key: key, entity: e}
	for _, nav := range set.Navigation {
		sub, ok := show.expanded(nav.Name)
		if !ok {
			continue
		}
		q := &Query{Set: s.model.sets[nav.Set], Top: MaxPage}
		page, err := s.related(c, t, nav, q)
		if err != nil {
			return nil, err
		}
		if *left -= len(page.Entities); *left < 0 {
			return nil, BadRequest("$expand asks for more than %d entities.", maxExpanded)
		}
		l := &list{set: q.Set}
		if l.records, err = s.records(c, q.Set, page.Entities, sub, left); err != nil {
			return nil, err
		}
		if page.Next != "" {
			l.next = c.root + set.keyURL(key) + "/" + nav.Name + "?$skiptoken=" + url.QueryEscape(page.Next)
		}
		rec.relate(nav, l)
	}
	return rec, nil
}

func (rec *record) relate(nav *Navigation, l *list) {
	if nav.Many {
		if rec.related == nil {
			rec.related = map[string]*list{}
		}
		rec.related[nav.Name] = l
		return
	}
	if rec.single == nil {
		rec.single = map[string]*record{}
	}
	rec.single[nav.Name] = nil
	if len(l.records) > 0 {
		rec.single[nav.Name] = l.records[0]
	}
}

func (s *Server) getLinks(c *call, t *target) (*response, error) {
	o, err := s.options(t.set, c.query)
	if err != nil {
		return nil, err
	}
	page, err := s.ask(c, t, &o.Query)
	if err != nil {
		return nil, err
	}
	var urls []string
	for _, e := range page.Entities {
		key, err := s.keyOf(t.set, e)
		if err != nil {
			return nil, err
		}
		urls = append(urls, c.root+t.set.keyURL(key))
	}
	if !t.nav.Many && len(urls) == 0 {
		return nil, NotFound(t.nav.Name)
	}
	next := ""
	if page.Next != "" && (!o.limited || o.rest > 0) {
		next = nextLink(c, page.Next, o)
	}
	count := int64(-1)
	if o.inline {
		count = page.Count
	}
	return s.writeLinks(c, t, urls, count, next), nil
}

func (s *Server) getProperty(c *call, t *target) (*response, error) {
	e, err := s.load(c, t)
	if err != nil {
		return nil, err
	}
	p := t.set.Property(t.path[0])
	v, err := s.model.convert(p.Type, e[p.Name], fromHandler)
	if err != nil {
		return nil, Errorf(http.StatusInternalServerError, "%s/%s: %v", t.set.Name, p.Name, err)
	}
	for _, name := range t.path[1:] {
		in, ok := v.(Entity)
		if !ok {
			return nil, NotFound(name)
		}
		v = in[name]
	}
	if t.value {
		if v == nil {
			return nil, NotFound("$value")
		}
		return plain(text(v)), nil
	}
	return s.writeValue(c, t.property.Name, t.property.Type, v), nil
}

func plain(s string) *response {
	resp := newResponse(http.StatusOK)
	resp.header.Set("DataServiceVersion", "1.0;")
	resp.set("text/plain;charset=utf-8", []byte(s))
	return resp
}
