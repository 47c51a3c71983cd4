package odata

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
)

// maxParts bounds the entities that one insert, or one changeset, brings or refers
// to.
const maxParts = 1000

// entities is how many entities in makes.
func (in *Insert) entities() int {
	n := 1
	for _, parts := range in.Inline {
		for _, part := range parts {
			n += part.entities()
		}
	}
	return n
}

// body reads the body of c as an object; one that is empty is an empty object.
func (s *Server) body(c *call) (*object, error) {
	if len(bytes.TrimSpace(c.body)) == 0 {
		return &object{}, nil
	}
	f, err := bodyFormat(c)
	if err != nil {
		return nil, err
	}
	if f == atom {
		return parseXML(c.body)
	}
	v, err := parseJSON(c.body)
	if err != nil {
		return nil, err
	}
	o, ok := v.(*object)
	if !ok {
		return nil, BadRequest("Error processing request stream. The body is not a JSON object.")
	}
	if d, ok := o.get("d"); ok && len(o.members) == 1 { // as answers in verbose JSON are wrapped
		if inner, ok := d.(*object); ok {
			return inner, nil
		}
	}
	return o, nil
}

// insert reads a new entity of set.
func (s *Server) insert(set *EntitySet, o *object) (*Insert, error) {
	in := &Insert{Set: set, Values: Entity{}, Bind: map[string][]Ref{}, Inline: map[string][]*Insert{}}
	parts := 0
	if err := s.readEntity(in, o, &parts); err != nil {
		return nil, err
	}
	return in, nil
}

func (s *Server) readEntity(in *Insert, o *object, parts *int) error {
	set := in.Set
	for _, mb := range o.members {
		if name, ok := strings.CutSuffix(mb.name, "@odata.bind"); ok {
			nav := s.all.sets[set.Name].navigation(name)
			if nav == nil {
				return s.model.noProperty(name, set.Type)
			}
			if err := s.bindURLs(in, nav, mb.value, parts); err != nil {
				return err
			}
			continue
		}
		if annotation(mb.name) {
			continue
		}
		if nav := s.all.sets[set.Name].navigation(mb.name); nav != nil {
			if err := s.readNavigation(in, nav, mb.value, parts); err != nil {
				return err
			}
			continue
		}
		p := set.Property(mb.name)
		if p == nil {
			return s.model.noProperty(mb.name, set.Type)
		}
		if p.Access == Read || p.Access == Update {
			continue
		}
		v, err := s.property(p, mb.value)
		if err != nil {
			return err
		}
		if v != nil || p.Nullable {
			in.Values[p.Name] = v
		}
	}
	return nil
}

func (s *Server) property(p *Property, v any) (any, error) {
	out, err := s.model.convert(p.Type, v, fromInsert)
	if err == nil {
		err = p.fits(out)
	}
	if err != nil {
		if _, ok := errors.AsType[*Error](err); ok {
			return nil, err
		}
		return nil, BadRequest("Error processing request stream. The value of the property '%s' cannot be taken: %v.", p.Name, err)
	}
	return out, nil
}

// finish checks that an insert is whole, and fills in defaults.
func (s *Server) finish(in *Insert) error {
	if err := bound(in); err != nil {
		return err
	}
	for _, p := range in.Set.Properties {
		if p.Access == Read || p.Access == Update {
			continue
		}
		if _, said := in.Values[p.Name]; said {
			continue
		}
		if p.Required {
			if p.Missing != 0 {
				return Errorf(p.Missing, "The property '%s' is required.", p.Name)
			}
			return BadRequest("The property '%s' of type '%s.%s' is required.", p.Name, s.model.Namespace, in.Set.Type)
		}
		if p.Default != nil {
			in.Values[p.Name] = p.Default
		}
	}
	for _, nav := range in.Set.Navigation {
		if nav.Required && len(in.Bind[nav.Name]) == 0 {
			return BadRequest("The navigation property '%s' of type '%s.%s' is required.", nav.Name, s.model.Namespace, in.Set.Type)
		}
		for _, part := range in.Inline[nav.Name] {
			if err := s.finish(part); err != nil {
				return err
			}
		}
	}
	return nil
}

// bound makes a reference to one entity the property that has its key: the .NET
// SDK of AMS says so which asset and access policy a locator is of.
func bound(in *Insert) error {
	for _, nav := range in.Set.Navigation {
		refs := in.Bind[nav.Name]
		if nav.Via == "" || nav.Many || len(refs) == 0 {
			continue
		}
		if said := in.Values[nav.Via]; said != nil && !same(said, refs[0].Key) {
			return BadRequest("The property '%s' and the navigation property '%s' name two entities.", nav.Via, nav.Name)
		}
		in.Values[nav.Via] = refs[0].Key
	}
	return nil
}

func (s *Server) bindURLs(in *Insert, nav *Navigation, v any, parts *int) error {
	urls, ok := v.([]any)
	if !ok {
		urls = []any{v}
	}
	for _, u := range urls {
		uri, ok := u.(string)
		if !ok {
			return BadRequest("A reference of '%s' is not a URI.", nav.Name)
		}
		if err := s.bind(in, nav, uri, parts); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) bind(in *Insert, nav *Navigation, uri string, parts *int) error {
	ref, err := s.refTo(nav, uri)
	if err != nil {
		return err
	}
	return addRef(in, nav, ref, parts)
}

func addRef(in *Insert, nav *Navigation, ref Ref, parts *int) error {
	if !nav.Bind {
		return BadRequest("The navigation property '%s' cannot be set.", nav.Name)
	}
	if *parts++; *parts > maxParts {
		return BadRequest("The request refers to more than %d entities.", maxParts)
	}
	if !nav.Many && len(in.Bind[nav.Name]) > 0 {
		return BadRequest("The navigation property '%s' takes one entity.", nav.Name)
	}
	in.Bind[nav.Name] = append(in.Bind[nav.Name], ref)
	return nil
}

// refTo reads a URI of an entity that nav may lead to.
func (s *Server) refTo(nav *Navigation, uri string) (Ref, error) {
	ref, err := s.all.ref(uri)
	if err == nil && ref.Set != nav.Set {
		err = BadRequest("The URI '%s' does not name an entity of '%s'.", clip(uri), nav.Set)
	}
	return ref, err
}

// readNavigation reads what a body has under the name of a navigation: new
// entities, references by __metadata.uri or by key, or what an answer had
// there, which is skipped.
func (s *Server) readNavigation(in *Insert, nav *Navigation, v any, parts *int) error {
	if o, ok := v.(*object); ok {
		if _, ok := o.get("__deferred"); ok {
			return nil
		}
		if results, ok := o.get("results"); ok {
			v = results
		}
	}
	items, many := v.([]any)
	if v == nil || many && len(items) == 0 {
		return nil
	}
	if !many {
		items = []any{v}
	}
	if many != nav.Many && many {
		return BadRequest("The navigation property '%s' takes one entity.", nav.Name)
	}
	for _, item := range items {
		o, ok := item.(*object)
		if !ok {
			return BadRequest("The navigation property '%s' takes entities.", nav.Name)
		}
		if err := s.readPart(in, nav, o, parts); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) readPart(in *Insert, nav *Navigation, o *object, parts *int) error {
	if !nav.Deep {
		if uri := metadataURI(o); uri != "" {
			return s.bind(in, nav, uri, parts)
		}
		if key, ok := o.get(s.all.sets[nav.Set].key.Name); ok {
			if text, ok := key.(string); ok && text != "" {
				return addRef(in, nav, Ref{nav.Set, text}, parts)
			}
		}
		return BadRequest("The navigation property '%s' takes references to entities.", nav.Name)
	}
	set := s.model.sets[nav.Set]
	if set == nil {
		return NotServed("The entity set '" + nav.Set + "'")
	}
	if *parts++; *parts > maxParts {
		return BadRequest("The request brings more than %d entities.", maxParts)
	}
	part := &Insert{Set: set, Values: Entity{}, Bind: map[string][]Ref{}, Inline: map[string][]*Insert{}}
	if err := s.readEntity(part, o, parts); err != nil {
		return err
	}
	in.Inline[nav.Name] = append(in.Inline[nav.Name], part)
	return nil
}

func metadataURI(o *object) string {
	v, _ := o.get("__metadata")
	meta, ok := v.(*object)
	if !ok {
		return ""
	}
	for _, name := range []string{"uri", "id"} {
		if uri, ok := meta.get(name); ok {
			if text, ok := uri.(string); ok {
				return text
			}
		}
	}
	return ""
}

// update reads a change of the entity that t names. Properties that can only
// be set once may be repeated, as clients do that send what they have read.
func (s *Server) update(c *call, t *target, o *object) (Entity, error) {
	change := Entity{}
	for _, mb := range o.members {
		if bound, ok := strings.CutSuffix(mb.name, "@odata.bind"); ok {
			return nil, BadRequest("The navigation property '%s' cannot be updated so.", clip(bound))
		}
		if annotation(mb.name) || s.all.sets[t.set.Name].navigation(mb.name) != nil {
			continue
		}
		p := t.set.Property(mb.name)
		if p == nil {
			return nil, s.model.noProperty(mb.name, t.set.Type)
		}
		if p.Access == Read || mb.value == nil && (p.Access == Create || !p.Nullable) {
			continue
		}
		v, err := s.property(p, mb.value)
		if err != nil {
			return nil, err
		}
		if p.Access != Create {
			change[p.Name] = v
			continue
		}
		if err := s.unchanged(c, t, p, v); err != nil {
			return nil, err
		}
	}
	return change, nil
}

func (s *Server) unchanged(c *call, t *target, p *Property, v any) error {
	e, err := s.load(c, t)
	if err != nil {
		return err
	}
	is, err := s.model.convert(p.Type, e[p.Name], fromHandler)
	if err != nil {
		return err
	}
	if !same(is, v) {
		return BadRequest("The property '%s' cannot be updated.", p.Name)
	}
	return nil
}

// same compares two values of a type. Ids differ by case between clients.
func same(a, b any) bool {
	switch a := a.(type) {
	case nil:
		return b == nil || b == ""
	case string:
		b, ok := b.(string)
		return b == "" && a == "" || ok && strings.EqualFold(a, b)
	case DateTime:
		b, ok := b.(DateTime)
		return ok && a.Equal(b.Time)
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !same(a[i], b[i]) {
				return false
			}
		}
		return true
	case Entity:
		b, ok := b.(Entity)
		if !ok {
			return false
		}
		for name, v := range b {
			if !same(a[name], v) {
				return false
			}
		}
		return true
	}
	return a == b
}

// reference reads the body of a request to $links.
func (s *Server) reference(c *call) (string, error) {
	o, err := s.body(c)
	if err != nil {
		return "", err
	}
	for _, name := range []string{"uri", "url"} {
		if v, ok := o.get(name); ok {
			if uri, ok := v.(string); ok && uri != "" {
				return strings.TrimSpace(uri), nil
			}
		}
	}
	return "", Errorf(http.StatusBadRequest, "Error processing request stream. The body has no URI of an entity.")
}
