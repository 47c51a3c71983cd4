package odata

import (
	"net/http"

	"github.com/openams/openams/filter"
)

// A target is what a URL names.
type target struct {
	set  *EntitySet
	many bool   // a collection of set; else an entity of it
	key  string // of the entity

	// parent and nav are how the collection, or the $links, were reached.
	parent *target
	nav    *Navigation

	entity Entity // what is known of the entity already; may be nil

	made     *made     // an entity that the changeset makes, by $1
	property *Property // and what is below the entity
	path     []string  // properties from the entity on
	value    bool      // $value
	count    bool      // $count
	links    bool      // $links/nav; the linked entity's key is linked
	linked   string
	function *Function
}

func (t *target) ref() Ref { return Ref{t.set.Name, t.key} }

// resolve follows a path. On the way it reads the entities that it has to.
func (s *Server) resolve(c *call, segments []segment) (*target, error) {
	t, err := s.first(c, segments[0])
	if err != nil {
		return nil, err
	}
	for i := 1; i < len(segments); i++ {
		seg := segments[i]
		switch {
		case t.property != nil || t.count || t.value || t.function != nil:
			if err := s.belowProperty(t, seg); err != nil {
				return nil, err
			}
		case t.many:
			f := s.all.function(t.set.Name, seg.name)
			if seg.name != "$count" || f != nil {
				return nil, NotFound(seg.name)
			}
			t.count = true
		case seg.name == "$links":
			if i != len(segments)-2 {
				return nil, BadRequest("The request URI is not valid: the segment '$links' must be followed by one navigation property.")
			}
			return s.links(t, segments[i+1])
		default:
			if t, err = s.belowEntity(c, t, seg); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

func (s *Server) first(c *call, seg segment) (*target, error) {
	if m := c.made[seg.name]; m != nil && !seg.keyed {
		return &target{set: m.set, key: m.key, made: m}, nil
	}
	set := s.all.sets[seg.name]
	if set == nil {
		return nil, NotFound(seg.name)
	}
	if s.model.sets[seg.name] == nil {
		return nil, NotServed("The entity set '" + seg.name + "'")
	}
	set = s.model.sets[seg.name]
	if !seg.keyed {
		return &target{set: set, many: true}, nil
	}
	return &target{set: set, key: seg.key}, nil
}

func (s *Server) belowProperty(t *target, seg segment) error {
	if t.property == nil || t.value || seg.keyed {
		return NotFound(seg.name)
	}
	if seg.name == "$value" {
		_, many := element(t.property.Type)
		if many || s.model.complex(t.property.Type) != nil {
			return BadRequest("The segment '$value' is for primitive properties.")
		}
		t.value = true
		return nil
	}
	complex := s.model.complex(t.property.Type)
	if complex == nil {
		return NotFound(seg.name)
	}
	p := find(complex.Properties, seg.name)
	if p == nil {
		return NotFound(seg.name)
	}
	t.property, t.path = p, append(t.path, p.Name)
	return nil
}

func (s *Server) belowEntity(c *call, t *target, seg segment) (*target, error) {
	if p := t.set.Property(seg.name); p != nil && !seg.keyed {
		t.property, t.path = p, []string{p.Name}
		return t, nil
	}
	if f := s.all.function(t.set.Name, seg.name); f != nil && !seg.keyed {
		t.function = f
		return t, nil
	}
	nav := t.set.navigation(seg.name)
	if nav == nil {
		if full := s.all.sets[t.set.Name].navigation(seg.name); full != nil {
			return nil, NotServed("The entity set '" + full.Set + "'")
		}
		return nil, NotFound(seg.name)
	}
	next := &target{set: s.model.sets[nav.Set], many: true, parent: t, nav: nav}
	if t.made != nil {
		return next, nil // a POST to it is part of what makes the entity
	}
	if nav.Many && !seg.keyed {
		return next, nil
	}
	// One entity: see that the way leads to it.
	q := &Query{Set: next.set, Top: 1}
	if seg.keyed {
		q.Filter = keyIs(next.set.key.Name, seg.key)
	}
	page, err := s.related(c, t, nav, q)
	if err != nil {
		return nil, err
	}
	if len(page.Entities) == 0 {
		return nil, NotFound(seg.name)
	}
	next.many, next.entity = false, page.Entities[0]
	next.key, err = s.keyOf(next.set, next.entity)
	return next, err
}

func keyIs(property, key string) *filter.Expr {
	return &filter.Expr{Op: filter.Eq, Args: []*filter.Expr{{Op: filter.Field, Name: property}, {Op: filter.Literal, Value: key}}}
}

func (s *Server) keyOf(set *EntitySet, e Entity) (string, error) {
	key, ok := e[set.key.Name].(string)
	if !ok || key == "" {
		return "", Errorf(http.StatusInternalServerError, "An entity of %s came without its key.", set.Name)
	}
	return key, nil
}

func (s *Server) links(t *target, seg segment) (*target, error) {
	nav := t.set.navigation(seg.name)
	if nav == nil {
		return nil, NotFound(seg.name)
	}
	return &target{set: s.model.sets[nav.Set], many: true, parent: t, nav: nav, links: true, linked: seg.key}, nil
}

// related answers q about the entities that a navigation of t leads to.
func (s *Server) related(c *call, t *target, nav *Navigation, q *Query) (*Page, error) {
	if err := s.allow(c, http.MethodGet, nav.Set); err != nil {
		return nil, err
	}
	if nav.Via == "" {
		return s.c.Sets[t.set.Name].(Navigator).Related(c.ctx, t.key, nav.Name, q)
	}
	e, err := s.load(c, t)
	if err != nil {
		return nil, err
	}
	own := *q
	key := t.key
	via := nav.Via
	if !nav.Many {
		var ok bool
		if key, ok = e[nav.Via].(string); !ok || key == "" {
			return &Page{}, nil
		}
		via = q.Set.key.Name
	} else if k, ok := e[t.set.key.Name].(string); ok {
		key = k // as the server spells it
	}
	own.Filter = keyIs(via, key)
	if q.Filter != nil {
		own.Filter = &filter.Expr{Op: filter.And, Args: []*filter.Expr{own.Filter, q.Filter}}
	}
	return s.c.Sets[nav.Set].Query(c.ctx, &own)
}

// isNotFound tells a handler's own words for a 404, in the place of which go
// those of AMS.
func isNotFound(e *Error) bool { return e != nil && e.Status == http.StatusNotFound }

// load reads the entity that t names, if it has not been read.
func (s *Server) load(c *call, t *target) (Entity, error) {
	if t.entity != nil {
		return t.entity, nil
	}
	if err := s.allow(c, http.MethodGet, t.set.Name); err != nil {
		return nil, err
	}
	e, err := s.c.Sets[t.set.Name].Get(c.ctx, t.key)
	if err == nil && e == nil || s.c.Fault != nil && err != nil && isNotFound(s.c.Fault(err)) {
		err = NotFound(t.set.Name)
	}
	if err != nil {
		return nil, err
	}
	t.entity = e
	return e, nil
}
