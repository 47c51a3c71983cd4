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

// A Search selects a page of a list as the v2 API does: by any property, by
// functions of texts, in several orders. Names are those of the v2 API.
type Search struct {
	Filter *filter.Expr   // nil: all
	Orders []filter.Order // nil: by key
	Skip   int
	Top    int    // entities on the page; 0: none, for a Count alone; PageSize is the most
	After  string // the Next that came with the page before; empty: the first page
	Count  bool   // how many there are on all pages is asked for
}

// Found answers a Search.
type Found[T any] struct {
	Rows  []*T
	Count int64  // only if asked for
	Next  string // empty on the last page
}

// search returns what s selects of the rows that where selects. As in lists, a
// page begins after the place in the order where the last one ended.
func (t *table[T]) search(tx *Tx, s Search, where string, args ...any) (*Found[T], error) {
	all := condition{where, slices.Clone(args)}
	from, c := all, searcher{what: t.what, properties: t.properties}
	if s.Filter != nil {
		match, err := c.part(s.Filter, nil)
		if err != nil {
			return nil, err
		}
		from.and(match)
	}
	found := new(Found[T])
	if s.Count {
		if err := tx.queryRow("SELECT COUNT(*) FROM "+t.name+" WHERE "+from.sql, from.args...).Scan(&found.Count); err != nil {
			return nil, err
		}
	}
	top := min(s.Top, PageSize)
	if top <= 0 {
		return found, nil
	}
	orders, err := t.orders(s.Orders)
	if err != nil {
		return nil, err
	}
	var place condition
	if s.After != "" {
		at, err := parsePlace(orders, s.After)
		if err != nil {
			return nil, ams.Invalidf("$skiptoken", "The $skiptoken does not belong to this list.")
		}
		place.sql, place.args = after(orders, at)
		from.and(place)
	}
	var terms []string
	for _, o := range orders {
		terms = append(terms, o.sql())
	}
	limit, skip := fmt.Sprintf(" LIMIT %d", top+1), 0
	if s.Skip > 0 && s.After == "" {
		skip = s.Skip
		limit += fmt.Sprintf(" OFFSET %d", skip)
	}
	if single := len(s.Orders) <= 1; single && s.Filter != nil && t.indexes[orders[0].column] != nil && !tx.db.dialect.counts() {
		p := plan{tx: tx, table: t.name, indexes: t.indexes, in: &c, order: orders[0].column, desc: orders[0].desc, by: strings.Join(terms, ", "),
			top: skip + top + 1, scope: all, after: place}
		var bySeq bool
		if from, bySeq, err = p.condition(s.Filter); err != nil {
			return nil, err
		}
		if bySeq {
			terms[0] = "+" + terms[0]
		}
	}
	var last, sum int64
	err = t.eachSize(tx, func(seq, size int64, v *T) error {
		if sum += size; len(found.Rows) == top || len(found.Rows) > 0 && sum > pageBytes {
			return errFull
		}
		found.Rows, last = append(found.Rows, v), seq
		return nil
	}, "WHERE "+from.sql+" ORDER BY "+strings.Join(terms, ", ")+limit, from.args...)
	if errors.Is(err, errFull) {
		found.Next, err = t.place(tx, orders, last)
	}
	if err != nil {
		return nil, err
	}
	return found, nil
}

// kept is the column of a text that the rest of a row keeps under a path of
// names; empty where there is none. json_extract is SQLite's, and a function of
// ours in PostgreSQL.
func kept(path string) string { return "COALESCE(json_extract(rest, '$." + path + "'), '')" }

// keptNumber is kept for an integer; 0 where there is none.
func keptNumber(path string) string {
	return "CAST(COALESCE(json_extract(rest, '$." + path + "'), '0') AS BIGINT)"
}

// A term of an ORDER BY.
type term struct {
	field
	desc bool
}

func (o term) sql() string {
	if o.desc {
		return o.column + " DESC"
	}
	return o.column
}

// orders makes the orders of a client total: by the key if there are none, else
// by seq, which follows in the indexes.
func (t *table[T]) orders(asked []filter.Order) (orders []term, err error) {
	key := t.properties[t.key]
	for _, a := range asked {
		f, ok := t.properties[a.Field]
		if !ok {
			return nil, ams.Invalidf("$orderby", "A list of %ss cannot be ordered by '%s'.", t.what, a.Field)
		}
		orders = append(orders, term{f, a.Desc})
		if f.column == key.column {
			return orders, nil
		}
	}
	if len(orders) == 0 {
		return []term{{key, false}}, nil
	}
	// The direction of what is before can be read from an index.
	return append(orders, term{field{column: "seq", kind: number}, orders[len(orders)-1].desc}), nil
}

// after is the condition of the rows that come after the place at.
func after(orders []term, at []any) (sql string, args []any) {
	same := !slices.ContainsFunc(orders, func(o term) bool { return o.desc != orders[0].desc })
	if same {
		var columns []string
		for _, o := range orders {
			columns = append(columns, o.column)
		}
		way := " > "
		if orders[0].desc {
			way = " < "
		}
		return "(" + strings.Join(columns, ", ") + ")" + way + "(?" + strings.Repeat(", ?", len(orders)-1) + ")", at
	}
	var cases []string
	for i, o := range orders {
		var parts []string
		for j := range i {
			parts = append(parts, orders[j].column+" = ?")
			args = append(args, at[j])
		}
		way := " > ?"
		if o.desc {
			way = " < ?"
		}
		cases = append(cases, strings.Join(append(parts, o.column+way), " AND "))
		args = append(args, at[i])
	}
	return "((" + strings.Join(cases, ") OR (") + "))", args
}

// place is where the row is in the orders, as text.
func (t *table[T]) place(tx *Tx, orders []term, seq int64) (string, error) {
	var columns []string
	into := make([]any, len(orders))
	for i, o := range orders {
		columns = append(columns, o.column)
		switch {
		case o.float:
			into[i] = new(float64)
		case o.numeric():
			into[i] = new(int64)
		default:
			into[i] = new(string)
		}
	}
	err := tx.queryRow("SELECT "+strings.Join(columns, ", ")+" FROM "+t.name+" WHERE seq = ?", seq).Scan(into...)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(into)
	return base64.RawURLEncoding.EncodeToString(b), err
}

// numeric reports whether the column of f is a number.
func (f field) numeric() bool { return f.kind == date || f.kind == number || f.kind == boolean }

// parsePlace reads what place wrote. The values have the types of the columns.
func parsePlace(orders []term, s string) ([]any, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return nil, err
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		return nil, err
	}
	if len(raw) != len(orders) {
		return nil, errors.New("another order")
	}
	at := make([]any, len(orders))
	for i, o := range orders {
		switch {
		case o.float:
			at[i], err = value[float64](raw[i])
		case o.numeric():
			at[i], err = value[int64](raw[i])
		default:
			at[i], err = value[string](raw[i])
		}
		if err != nil {
			return nil, err
		}
	}
	return at, nil
}

func value[T any](raw json.RawMessage) (v T, err error) { return v, json.Unmarshal(raw, &v) }

// A searcher writes a filter of the v2 API as an SQL condition.
type searcher struct {
	what       string
	properties map[string]field
	indexed    func(field, filter.Op) bool // as a plan's language has it
	sql        strings.Builder
	args       []any
}

// part is e as SQL.
func (c *searcher) part(e *filter.Expr, indexed func(field, filter.Op) bool) (condition, error) {
	p := searcher{what: c.what, properties: c.properties, indexed: indexed}
	err := p.condition(e)
	return condition{p.sql.String(), p.args}, err
}

// property is a field whose column itself is compared: ranges of ids are not.
func (c *searcher) property(e *filter.Expr) (field, bool) {
	f, ok := compared(e, c.properties, func(name string) string { return name })
	return f, ok && (f.kind != ident || e.Op == filter.Eq || e.Op == filter.Ne)
}

// An operand is a value in SQL, or still a literal.
type operand struct {
	sql     string
	args    []any
	kind    kind // text, number, boolean, date, ident
	literal bool
	value   any // of a literal; nil is null
	field   field
}

func (c *searcher) invalid(format string, args ...any) error {
	return ams.Invalidf("$filter", format, args...)
}

// condition writes what is true or false, in parentheses.
func (c *searcher) condition(e *filter.Expr) error {
	switch e.Op {
	case filter.And, filter.Or:
		c.sql.WriteString("(")
		if err := c.condition(e.Args[0]); err != nil {
			return err
		}
		c.sql.WriteString(" " + strings.ToUpper(e.Op.String()) + " ")
		if err := c.condition(e.Args[1]); err != nil {
			return err
		}
		c.sql.WriteString(")")
		return nil
	case filter.Not:
		c.sql.WriteString("(NOT ")
		if err := c.condition(e.Args[0]); err != nil {
			return err
		}
		c.sql.WriteString(")")
		return nil
	case filter.Eq, filter.Ne, filter.Gt, filter.Ge, filter.Lt, filter.Le:
		return c.compare(e)
	}
	v, err := c.operand(e)
	if err != nil {
		return err
	}
	if v.kind != boolean || v.literal && v.value == nil {
		return c.invalid("'%s' is not a condition.", e)
	}
	c.write(v)
	return nil
}

// write writes a boolean operand.
func (c *searcher) write(v operand) {
	if v.literal {
		v.sql = "(1 = 0)"
		if v.value == true {
			v.sql = "(1 = 1)"
		}
	}
	c.sql.WriteString(v.sql)
	c.args = append(c.args, v.args...)
}

func (c *searcher) compare(e *filter.Expr) error {
	left, err := c.operand(e.Args[0])
	if err != nil {
		return err
	}
	right, err := c.operand(e.Args[1])
	if err != nil {
		return err
	}
	op := e.Op
	if left.literal && !right.literal {
		left, right = right, left
		if f, ok := flipped[op]; ok {
			op = f
		}
	}
	if left.literal {
		return c.invalid("'%s' does not compare a property.", e)
	}
	if right.literal && left.kind == ident && (op == filter.Eq || op == filter.Ne) {
		if s, ok := right.value.(string); ok || right.value == nil {
			c.sql.WriteString("(" + c.column(left.field, op) + " " + sqlOps[op] + " ?)")
			c.args = append(c.args, left.field.bare(s))
			return nil
		}
	}
	if right.literal && right.value == nil && left.kind == boolean && (op == filter.Eq || op == filter.Ne) {
		c.write(operand{literal: true, value: op == filter.Ne}) // they are never null
		return nil
	}
	left, right = left.spelled(), right.spelled()
	if right.literal {
		if right.value, err = left.take(right.value); err != nil {
			return c.invalid("'%s' cannot be compared: %v.", e, err)
		}
		if left.kind != boolean {
			right.sql, right.args = "?", []any{right.value}
		}
		if _, fraction := right.value.(float64); fraction { // PostgreSQL would take an integer for an integer
			right.sql = "CAST(? AS DOUBLE PRECISION)"
		}
	} else if left.kind != right.kind {
		return c.invalid("'%s' compares values of different types.", e)
	}
	c.sql.WriteString("(")
	if left.sql == left.field.column {
		left.sql = c.column(left.field, op)
	}
	c.write(operand{sql: left.sql, args: left.args})
	c.sql.WriteString(" " + sqlOps[op] + " ")
	if right.literal && left.kind != boolean {
		right.literal = false
	}
	c.write(right)
	c.sql.WriteString(")")
	return nil
}

// column is the column of f as it is to be compared.
func (c *searcher) column(f field, op filter.Op) string {
	if c.indexed != nil && !c.indexed(f, op) {
		return "+" + f.column
	}
	return f.column
}

// bare is the guid of an id of f; what is no such id is no guid either.
func (f field) bare(id string) string {
	if len(id) < len(f.prefix) || !strings.EqualFold(id[:len(f.prefix)], f.prefix) {
		return id
	}
	return strings.ToLower(id[len(f.prefix):])
}

// spelled is an ident as clients see it: a text.
func (o operand) spelled() operand {
	if o.kind == ident {
		o.kind = text
		o.sql = "(CASE WHEN " + o.field.column + " = '' THEN '' ELSE '" + o.field.prefix + "' || " + o.field.column + " END)"
	}
	return o
}

// take is a literal as o's kind stores it; null is what an absent value is
// stored as.
func (o operand) take(v any) (any, error) {
	switch o.kind {
	case number:
		switch v := v.(type) {
		case nil:
			return 0, nil
		case int64, float64:
			return v, nil
		}
		return nil, fmt.Errorf("it is no number")
	case boolean:
		if b, ok := v.(bool); ok {
			return b, nil
		}
		return nil, fmt.Errorf("it is neither true nor false")
	}
	return field{kind: o.kind}.value(v)
}

func (c *searcher) operand(e *filter.Expr) (operand, error) {
	switch e.Op {
	case filter.Literal:
		o := operand{literal: true, value: e.Value, kind: text}
		switch v := e.Value.(type) {
		case bool:
			o.kind = boolean
		case int64, float64:
			o.kind = number
		case time.Time:
			o.kind = date
		case filter.GUID:
			o.value = string(v)
		case filter.Enum:
			o.value = v.Name
		}
		return o, nil
	case filter.Field:
		f, ok := c.properties[e.Name]
		if !ok {
			return operand{}, c.invalid("A list of %ss cannot be filtered by '%s'.", c.what, e.Name)
		}
		o := operand{sql: f.column, kind: f.kind, field: f}
		switch f.kind {
		case boolean:
			o.sql = "(" + f.column + " <> 0)"
		case enum, guid, folded:
			o.kind = text
		}
		return o, nil
	case filter.Call:
		return c.call(e)
	}
	// A condition in the place of a value: (startswith(Name,'a') or …) eq true.
	inner := searcher{what: c.what, properties: c.properties}
	if err := inner.condition(e); err != nil {
		return operand{}, err
	}
	return operand{sql: inner.sql.String(), args: inner.args, kind: boolean}, nil
}

// call writes a function of texts.
func (c *searcher) call(e *filter.Expr) (operand, error) {
	var texts []operand
	for _, arg := range e.Args {
		o, err := c.operand(arg)
		if err != nil {
			return operand{}, err
		}
		if o = o.spelled(); o.kind != text {
			return operand{}, c.invalid("The function '%s' is for texts.", e.Name)
		}
		if o.literal {
			s, _ := o.value.(string)
			o.sql, o.args = "CAST(? AS TEXT)", []any{s}
		}
		texts = append(texts, o)
	}
	a := texts[0]
	one := func(k kind, format string) (operand, error) {
		return operand{sql: fmt.Sprintf(format, a.sql), args: a.args, kind: k}, nil
	}
	switch e.Name {
	case "tolower":
		return one(text, "lower(%s)")
	case "toupper":
		return one(text, "upper(%s)")
	case "trim":
		return one(text, "trim(%s)")
	case "length":
		return one(number, "length(%s)")
	}
	b := texts[1]
	two := func(k kind, format string, operands ...operand) (operand, error) {
		var parts []any
		out := operand{kind: k}
		for _, o := range operands {
			parts = append(parts, o.sql)
			out.args = append(out.args, o.args...)
		}
		out.sql = fmt.Sprintf(format, parts...)
		return out, nil
	}
	switch e.Name {
	case "concat":
		return two(text, "(%s || %s)", a, b)
	case "startswith":
		return two(boolean, "(substr(%s, 1, length(%s)) = %s)", a, b, b)
	case "endswith":
		return two(boolean, "(length(%s) >= length(%s) AND substr(%s, length(%s) - length(%s) + 1) = %s)", a, b, a, a, b, b)
	case "substringof": // SQLite and PostgreSQL have no other function in common that finds
		return two(boolean, "(%s = '' OR replace(%s, %s, '') <> %s)", a, b, a, b)
	}
	return operand{}, c.invalid("The function '%s' is not supported.", e.Name)
}
