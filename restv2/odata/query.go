package odata

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/openams/openams/filter"
)

// MaxPage is how many entities an answer has at most. (Documented.)
const MaxPage = 1000

// Bounds of $expand.
const (
	maxExpandDepth = 4
	maxExpanded    = 10_000 // entities in an answer
)

// A Query asks for entities of a set.
type Query struct {
	Set    *EntitySet
	Filter *filter.Expr   // over properties of Set; nil: all. Paths lead into complex values
	Orders []filter.Order // then by what the handler likes, but always in one order
	Skip   int
	Top    int    // at most so many; 0 to MaxPage
	After  string // the Page.Next after which to go on; empty: from the start
	Count  bool   // how many there are is asked for
}

// A Page answers a Query.
type Page struct {
	Entities []Entity
	Count    int64  // that match the filter; only if asked for
	Next     string // leads on if there is more; not used where Top was the client's own
}

// options are the query options of a request.
type options struct {
	Query
	limited bool // Top is the client's own
	rest    int  // of the client's $top after this page
	inline  bool // $inlinecount=allpages
	show    *selection
}

// A selection is a tree of $select and $expand.
type selection struct {
	all    bool            // every property
	names  map[string]bool // else these
	expand map[string]*selection
}

func (s *selection) shows(name string) bool { return s == nil || s.all || s.names[name] }

func (s *selection) expanded(name string) (*selection, bool) {
	if s == nil {
		return nil, false
	}
	sub, ok := s.expand[name]
	return sub, ok
}

// parseQuery splits a raw query. Unlike net/url's it takes semicolons.
func parseQuery(raw string) (url.Values, error) {
	if len(raw) > maxPath {
		return nil, BadRequest("The query is longer than %d bytes.", maxPath)
	}
	values := url.Values{}
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		n, err1 := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			return nil, BadRequest("Bad Request - Error in query syntax: '%s'.", clip(pair))
		}
		values.Add(n, v)
	}
	return values, nil
}

// known lists the system query options that there are.
var known = map[string]bool{"$filter": true, "$orderby": true, "$top": true, "$skip": true, "$skiptoken": true,
	"$expand": true, "$select": true, "$inlinecount": true}

func checkOptions(q url.Values) error {
	for name, values := range q {
		if strings.HasPrefix(name, "$") && !known[name] {
			return BadRequest("The query parameter '%s' begins with a system-reserved '$' character but is not recognized.", clip(name))
		}
		if strings.HasPrefix(name, "$") && len(values) > 1 {
			return BadRequest("Query parameter '%s' is specified, but it should be specified exactly once.", name)
		}
	}
	return nil
}

// options reads the query options of a GET for entities of set.
func (s *Server) options(set *EntitySet, q url.Values) (*options, error) {
	if err := checkOptions(q); err != nil {
		return nil, err
	}
	o := &options{Query: Query{Set: set, Top: MaxPage, After: q.Get("$skiptoken")}}
	var err error
	if o.Filter, err = filter.Parse(q.Get("$filter")); err != nil {
		return nil, BadRequest("Syntax error in $filter: %v.", err)
	}
	if err := s.model.checkFilter(set, o.Filter); err != nil {
		return nil, err
	}
	if o.Orders, err = filter.ParseOrder(q.Get("$orderby")); err != nil {
		return nil, BadRequest("Syntax error in $orderby: %v.", err)
	}
	for _, order := range o.Orders {
		if err := s.model.checkField(set, order.Field); err != nil {
			return nil, err
		}
	}
	if o.Skip, err = count(q, "$skip"); err != nil {
		return nil, err
	}
	if q.Has("$top") {
		top, err := count(q, "$top")
		if err != nil {
			return nil, err
		}
		o.limited = top <= MaxPage
		o.Top = min(top, MaxPage)
		o.rest = top - o.Top
	}
	switch v := q.Get("$inlinecount"); v {
	case "", "none":
	case "allpages":
		o.inline, o.Count = true, true
	default:
		return nil, BadRequest("Unknown $inlinecount option, only \"allpages\" and \"none\" are supported.")
	}
	o.show, err = s.selection(set, q)
	return o, err
}

func count(q url.Values, name string) (int, error) {
	if !q.Has(name) {
		return 0, nil
	}
	n, err := strconv.ParseInt(strings.TrimSpace(q.Get(name)), 10, 32)
	if err != nil || n < 0 {
		return 0, BadRequest("Incorrect format for %s argument '%s'.", name, clip(q.Get(name)))
	}
	return int(n), nil
}

func (m *Model) checkFilter(set *EntitySet, e *filter.Expr) error {
	if e == nil {
		return nil
	}
	if e.Op == filter.Field {
		return m.checkField(set, e.Name)
	}
	if e.Op == filter.Call && e.Name == "contains" {
		return BadRequest("Unknown function 'contains'.") // of a later OData
	}
	for _, a := range e.Args {
		if err := m.checkFilter(set, a); err != nil {
			return err
		}
	}
	return nil
}

// checkField checks that a path leads from an entity to a scalar.
func (m *Model) checkField(set *EntitySet, path string) error {
	props, typ := set.Properties, set.Type
	names := strings.Split(path, "/")
	for i, name := range names {
		p := find(props, name)
		if p == nil {
			return BadRequest("No property '%s' exists in type '%s.%s'.", clip(name), m.Namespace, typ)
		}
		c := m.complex(p.Type)
		_, many := element(p.Type)
		if many || (c == nil) != (i == len(names)-1) {
			return BadRequest("The property '%s' cannot be compared.", clip(path))
		}
		if c != nil {
			props, typ = c.Properties, c.Name
		}
	}
	return nil
}

// selection reads $select and $expand; nil: neither was given.
func (s *Server) selection(set *EntitySet, q url.Values) (*selection, error) {
	selects, expands := q.Get("$select"), q.Get("$expand")
	if selects == "" && expands == "" {
		return nil, nil
	}
	root := &selection{all: true}
	nodes := 0
	for path := range strings.SplitSeq(expands, ",") {
		if path = strings.TrimSpace(path); path == "" {
			continue
		}
		at, in := root, set
		for i, name := range strings.Split(path, "/") {
			nav := in.navigation(name)
			if nav == nil || s.model.sets[nav.Set] == nil {
				return nil, s.model.noProperty(name, in.Type)
			}
			if nodes++; i == maxExpandDepth || nodes > 32 {
				return nil, BadRequest("$expand asks for too much.")
			}
			if at.expand == nil {
				at.expand = map[string]*selection{}
			}
			if at.expand[name] == nil {
				at.expand[name] = &selection{all: true}
			}
			at, in = at.expand[name], s.model.sets[nav.Set]
		}
	}
	for path := range strings.SplitSeq(selects, ",") {
		if path = strings.TrimSpace(path); path == "" {
			continue
		}
		if err := s.selectPath(root, set, strings.Split(path, "/")); err != nil {
			return nil, err
		}
	}
	return root, nil
}

func (s *Server) selectPath(at *selection, in *EntitySet, path []string) error {
	for i, name := range path {
		if at.names == nil {
			at.all, at.names = false, map[string]bool{}
		}
		nav := in.navigation(name)
		switch {
		case name == "*":
			at.all = true
			return nil
		case nav == nil && in.Property(name) == nil:
			return s.model.noProperty(name, in.Type)
		}
		at.names[name] = true
		if nav == nil || i == len(path)-1 {
			return nil
		}
		sub, ok := at.expand[name]
		if !ok {
			return BadRequest("Only navigation properties that $expand names may be selected from: '%s'.", clip(name))
		}
		at, in = sub, s.model.sets[nav.Set]
	}
	return nil
}
