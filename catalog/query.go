package catalog

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/filter"
)

// A Query selects a page of a list. Its zero value is the first page of
// everything, by name.
type Query struct {
	Filter  *filter.Expr // nil: all
	OrderBy string       // a field, with or without "properties/"; empty: name
	Desc    bool
	Top     int    // entities on the page; 0: PageSize, which is also the most
	After   string // the token that came with the page before; empty: the first page
	Whole   bool   // do not cut the page by bytes: for what is known to be small
}

// PageSize is the number of entities on a page unless a query asks for less.
const PageSize = 1000

// pageBytes is where a page ends before that, so that what clients store, at
// most some MiB an entity, cannot fill the memory when it is listed.
const pageBytes = 8 << 20

var errFull = errors.New("the page is full")

// A field is a property that $filter or $orderby may name.
type field struct {
	column string // or another expression of SQL
	kind   kind
	ops    []filter.Op // that $filter allows
	order  bool        // $orderby allows it
	values []string    // enum: the values
	prefix string      // ident: of the id
	float  bool        // number: of a column with fractions
	zero   bool        // number: always 0
}

type kind int

const (
	folded  kind = iota // text compared without regard to case: the column holds fold(text)
	text                // text compared as it is
	guid                // text in lower case
	date                // time in ticks
	enum                // one of values
	number              // integers and fractions; in a Search alone, as what follows
	boolean             // 0 or 1
	ident               // a guid in lower case, which clients see behind a prefix
)

var (
	all    = []filter.Op{filter.Eq, filter.Ne, filter.Gt, filter.Ge, filter.Lt, filter.Le}
	ranges = []filter.Op{filter.Gt, filter.Ge, filter.Lt, filter.Le}
	equal  = []filter.Op{filter.Eq}
)

// list returns the page that q selects of the rows that where selects, and
// the token of the next page, empty on the last. A page begins after the
// place in the order where the last one ended, so it is right whatever was
// inserted or deleted in between; seq makes every order total.
func (t *table[T]) list(tx *Tx, q Query, where string, args ...any) ([]*T, string, error) {
	page, _, next, err := t.listSeqs(tx, q, where, args...)
	return page, next, err
}

// listSeqs is list, with the seq of each row.
func (t *table[T]) listSeqs(tx *Tx, q Query, where string, args ...any) ([]*T, []int64, string, error) {
	name := fieldName(q.OrderBy)
	if name == "" {
		name = "name"
	}
	order, ok := t.fields[name]
	if !ok || !order.order {
		return nil, nil, "", ams.Invalidf("$orderby", "A list of %ss cannot be ordered by '%s'.", t.what, q.OrderBy)
	}
	top := q.Top
	if top <= 0 || top > PageSize {
		top = PageSize
	}
	way, than := "", ">"
	if q.Desc {
		way, than = " DESC", "<"
	}
	var after condition
	if q.After != "" {
		at, err := parseToken(q.After)
		if err != nil || at.Order != name || at.Desc != q.Desc {
			return nil, nil, "", ams.Invalidf("$skiptoken", "The $skiptoken does not belong to this list.")
		}
		after = condition{fmt.Sprintf("(%s, seq) %s (?, ?)", order.column, than), []any{at.Text, at.Seq}}
		if order.kind == date {
			after.args[0] = at.Number
		}
	}
	by := order.column
	from := condition{where, args}
	if q.Filter == nil {
		from.and(after)
	} else {
		c := compiler{what: t.what, fields: t.fields}
		match, err := c.part(q.Filter, nil)
		if err != nil {
			return nil, nil, "", err
		}
		if t.indexes == nil || t.searched || tx.db.dialect.counts() {
			from.and(after)
			from.and(match)
		} else {
			c.checked = true
			p := plan{tx: tx, table: t.name, indexes: t.indexes, in: &c, order: by, desc: q.Desc, by: by + way + ", seq" + way,
				top: top + 1, scope: from, after: after}
			var bySeq bool
			if from, bySeq, err = p.condition(q.Filter); err != nil {
				return nil, nil, "", err
			}
			if bySeq {
				by = "+" + by
			}
		}
	}
	var page []*T
	var seqs, sizes []int64
	var sum int64
	err := t.eachSize(tx, func(seq, size int64, v *T) error {
		if sum += size; len(page) == top || len(page) > 0 && sum > pageBytes && !q.Whole {
			return errFull
		}
		page, seqs, sizes = append(page, v), append(seqs, seq), append(sizes, size)
		return nil
	}, fmt.Sprintf("WHERE %s ORDER BY %s%s, seq%s LIMIT %d", from.sql, by, way, way, top+1), from.args...)
	more := errors.Is(err, errFull)
	if err != nil && !more {
		return nil, nil, "", err
	}
	if t.below != nil && !q.Whole && len(page) > 1 {
		below, err := t.below(tx, seqs)
		if err != nil {
			return nil, nil, "", err
		}
		sum = 0
		for i, seq := range seqs {
			if sum += sizes[i] + below[seq]; i > 0 && sum > pageBytes {
				page, seqs, more = page[:i], seqs[:i], true
				break
			}
		}
	}
	if !more {
		return page, seqs, "", nil
	}
	// The order's value of the last row is read again by seq: it is needed once a page.
	next := token{Order: name, Desc: q.Desc, Seq: seqs[len(seqs)-1]}
	into := any(&next.Text)
	if order.kind == date {
		into = &next.Number
	}
	if err := tx.queryRow("SELECT "+order.column+" FROM "+t.name+" WHERE seq = ?", next.Seq).Scan(into); err != nil {
		return nil, nil, "", err
	}
	return page, seqs, next.String(), nil
}

// A token is a place in an order: just after the row of this value and seq.
type token struct {
	Order  string `json:"o"`
	Desc   bool   `json:"d,omitempty"`
	Text   string `json:"t,omitempty"`
	Number int64  `json:"n,omitempty"`
	Seq    int64  `json:"s"`
}

func (t token) String() string {
	b, _ := json.Marshal(t)
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseToken(s string) (t token, err error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return t, err
	}
	return t, json.Unmarshal(b, &t)
}

// fieldName is the key of fields for a path as a client spells it.
func fieldName(path string) string {
	return strings.TrimPrefix(strings.ToLower(path), "properties/")
}

// A compiler writes a filter as an SQL condition with parameters.
type compiler struct {
	what    string
	fields  map[string]field
	indexed func(field, filter.Op) bool // whether SQLite may use an index for such a comparison; nil: always
	sql     strings.Builder
	args    []any
	checked bool // the filter passed once: its parts may have operators that it may not
}

func (c *compiler) logical(e *filter.Expr) error {
	switch e.Op {
	case filter.And, filter.Or:
		c.sql.WriteString("(")
		if err := c.logical(e.Args[0]); err != nil {
			return err
		}
		c.sql.WriteString(" " + strings.ToUpper(e.Op.String()) + " ")
		if err := c.logical(e.Args[1]); err != nil {
			return err
		}
		c.sql.WriteString(")")
		return nil
	case filter.Not:
		c.sql.WriteString("(NOT ")
		if err := c.logical(e.Args[0]); err != nil {
			return err
		}
		c.sql.WriteString(")")
		return nil
	case filter.Eq, filter.Ne, filter.Gt, filter.Ge, filter.Lt, filter.Le:
		return c.comparison(e)
	case filter.Call:
		return ams.Invalidf("$filter", "The function '%s' is not supported in a filter of %ss.", e.Name, c.what)
	}
	return ams.Invalidf("$filter", "'%s' is not a condition.", e)
}

var (
	flipped = map[filter.Op]filter.Op{filter.Gt: filter.Lt, filter.Lt: filter.Gt, filter.Ge: filter.Le, filter.Le: filter.Ge}
	sqlOps  = map[filter.Op]string{filter.Eq: "=", filter.Ne: "<>", filter.Gt: ">", filter.Ge: ">=", filter.Lt: "<", filter.Le: "<="}
)

func (c *compiler) comparison(e *filter.Expr) error {
	op, left, right := e.Op, e.Args[0], e.Args[1]
	if left.Op == filter.Literal {
		left, right = right, left
		if f, ok := flipped[op]; ok {
			op = f
		}
	}
	for _, x := range e.Args {
		if x.Op == filter.Call {
			return c.logical(x)
		}
	}
	if left.Op != filter.Field || right.Op != filter.Literal {
		return ams.Invalidf("$filter", "'%s' does not compare a property with a value.", e)
	}
	f, ok := c.fields[fieldName(left.Name)]
	if !ok {
		return ams.Invalidf("$filter", "A list of %ss cannot be filtered by '%s'.", c.what, left.Name)
	}
	if !c.checked && !slices.Contains(f.ops, op) {
		return ams.Invalidf("$filter", "The operator '%s' is not supported for '%s'.", op, left.Name)
	}
	v, err := f.value(right.Value)
	if err != nil {
		return ams.Invalidf("$filter", "'%s' cannot be compared with %s: %v.", left.Name, right, err)
	}
	if c.indexed != nil && !c.indexed(f, op) {
		c.sql.WriteByte('+')
	}
	c.sql.WriteString(f.column + " " + sqlOps[op] + " ?")
	c.args = append(c.args, v)
	return nil
}

// part is e as SQL.
func (c *compiler) part(e *filter.Expr, indexed func(field, filter.Op) bool) (condition, error) {
	p := compiler{what: c.what, fields: c.fields, checked: c.checked, indexed: indexed}
	err := p.logical(e)
	return condition{p.sql.String(), p.args}, err
}

func (c *compiler) property(e *filter.Expr) (field, bool) { return compared(e, c.fields, fieldName) }

// compared is the field that e compares with a value.
func compared(e *filter.Expr, fields map[string]field, name func(string) string) (field, bool) {
	if len(e.Args) != 2 {
		return field{}, false
	}
	f, value := e.Args[0], e.Args[1]
	if f.Op == filter.Literal {
		f, value = value, f
	}
	found, ok := fields[name(f.Name)]
	return found, ok && f.Op == filter.Field && value.Op == filter.Literal
}

// value is a literal as the column of f stores it. null is what an absent
// property is stored as.
func (f field) value(v any) (any, error) {
	switch f.kind {
	case date:
		switch v := v.(type) {
		case nil:
			return ticks(time.Time{}), nil
		case time.Time:
			return ticks(v), nil
		case string:
			t, err := filter.ParseTime(v)
			if err != nil {
				return nil, err
			}
			return ticks(t), nil
		}
		return nil, fmt.Errorf("it is no date")
	case enum:
		var s string
		switch v := v.(type) {
		case filter.Enum:
			s = v.Name
		case string:
			s = v
		}
		for _, known := range f.values {
			if strings.EqualFold(known, s) {
				return known, nil
			}
		}
		return nil, fmt.Errorf("it is not one of %s", strings.Join(f.values, ", "))
	}
	var s string
	switch v := v.(type) {
	case nil:
	case string:
		s = v
	case filter.GUID:
		s = string(v)
	default:
		return nil, fmt.Errorf("it is no text")
	}
	switch f.kind {
	case folded:
		return fold(s), nil
	case guid:
		return strings.ToLower(s), nil
	}
	return s, nil
}
