package catalog

import (
	"cmp"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/openams/openams/filter"
)

// A plan finds the rows of one page of a filtered list in a large table of
// SQLite, which does not count before it plans. There are two ways. To look
// up: each alternative of the filter by an index of its own, each in the
// list's order and no longer than the page. To walk: along the order, by an
// index that holds all that filters compare, past what does not match. A row
// costs about as much to look up as to pass, so it looks up what the smaller
// half of the rows matches.
type plan struct {
	tx      *Tx
	table   string
	indexes map[string]map[string]string // as a table has them
	in      language
	order   string // the column that the list is ordered by
	desc    bool
	by      string    // the order whole, as SQL
	top     int       // rows up to the end of the page and one
	scope   condition // what the list is a list of
	after   condition // the place where the page begins; empty for the first
}

// A language says what the parts of a filter mean. The filter has been checked.
type language interface {
	// part is e as SQL, for which indexes serve those comparisons with a value
	// that indexed allows; nil: all.
	part(e *filter.Expr, indexed func(field, filter.Op) bool) (condition, error)
	// property is the field of which e is a comparison with a value.
	property(e *filter.Expr) (field, bool)
}

// A condition is SQL for a WHERE clause.
type condition struct {
	sql  string
	args []any
}

func (c *condition) and(other condition) {
	if other.sql == "" {
		return
	}
	if c.sql != "" {
		c.sql += " AND "
	}
	c.sql, c.args = c.sql+other.sql, slices.Concat(c.args, other.args)
}

// A branch is one alternative of a filter: all of terms, or one of in, which
// are equalities of one property.
type branch struct {
	terms, in []*filter.Expr
}

// maxBranches is how many alternatives are looked up one by one.
const maxBranches = 16

// fewRows is a walk that costs less than to find out what else might.
const fewRows = 10_000

// condition is the WHERE clause of the page. By seq means that it selects the
// rows by seq, to be sorted.
func (s *plan) condition(e *filter.Expr) (where condition, bySeq bool, err error) {
	branches, ok := s.branches(e)
	if !ok { // too many to look up: SQLite may find out
		where, err = s.in.part(e, nil)
		all := s.scope
		all.and(s.after)
		all.and(where)
		return all, false, err
	}
	if len(branches) == 0 {
		return condition{sql: "1 = 0"}, false, nil
	}
	match, err := s.walking(e, branches)
	if err != nil {
		return where, false, err
	}
	walk := s.page(match, s.indexes[s.order][s.order])
	walk.sql = "seq IN (" + walk.sql + ")"
	ways := make([]access, len(branches))
	ranged := false
	for i, b := range branches {
		if ways[i], ok = s.access(b); !ok {
			return walk, true, nil
		}
		ranged = ranged || ways[i].ranged
	}
	if ranged {
		cheap, err := s.cheap(match, branches)
		if err != nil {
			return where, false, err
		} else if cheap {
			return walk, true, nil
		}
	}
	var union []string
	for i, b := range branches {
		cond, err := s.branch(b, func(f field, op filter.Op) bool {
			return op == filter.Eq || f.column == cmp.Or(ways[i].column, s.order)
		})
		if err != nil {
			return where, false, err
		}
		from := s.scope
		from.and(s.after)
		from.and(cond)
		if ways[i].ranged {
			bound, err := s.bound(from, ways[i])
			if err != nil {
				return where, false, err
			}
			from.and(bound)
		}
		found := s.page(from, ways[i].index)
		union = append(union, "SELECT * FROM ("+found.sql+")")
		where.args = append(where.args, found.args...)
	}
	where.sql = "seq IN (" + strings.Join(union, " UNION ") + ")"
	return where, true, nil
}

// page selects the first rows of where, by seq alone: for more, SQLite would
// turn to the row of every entry of the index that it passes.
func (s *plan) page(where condition, index string) condition {
	where.sql = fmt.Sprintf("SELECT seq FROM %s%s WHERE %s ORDER BY %s LIMIT %d", s.table, indexedBy(index), where.sql, s.by, s.top)
	return where
}

// indexedBy tells SQLite to use the index, if there is one.
func indexedBy(index string) string {
	if index == "" {
		return ""
	}
	return " INDEXED BY " + index
}

// walking is the page by a walk along the order, which begins and ends where
// the filter's only alternative says.
func (s *plan) walking(e *filter.Expr, branches []branch) (where condition, err error) {
	where = s.scope
	where.and(s.after)
	if len(branches) == 1 {
		match, err := s.branch(branches[0], func(f field, _ filter.Op) bool { return f.column == s.order })
		where.and(match)
		return where, err
	}
	match, err := s.in.part(e, func(field, filter.Op) bool { return false })
	where.and(match)
	return where, err
}

// An access is how a branch is looked up: by an index (empty: SQLite knows) of
// a column (empty: of several, by their values), of which it takes a range.
type access struct {
	index, column string
	ranged        bool
}

// access is how to look up b; not ok means that no index serves it.
func (s *plan) access(b branch) (a access, ok bool) {
	passes := false
	for _, e := range slices.Concat(b.terms, b.in) {
		f, plain := s.in.property(e)
		switch {
		case plain && e.Op == filter.Eq && s.index(f.column) != "":
			return access{index: s.index(f.column)}, true
		case !plain || e.Op == filter.Eq || e.Op == filter.Ne:
			passes = true
		case f.column == s.order:
			ok = true
		case s.index(f.column) != "":
			a = access{s.index(f.column), f.column, true}
		default:
			passes = true
		}
	}
	return a, a.ranged || ok && !passes
}

// index is the best of a column for the list's order.
func (s *plan) index(column string) string {
	return cmp.Or(s.indexes[s.order][column], s.indexes[column][column])
}

// cheap reports whether walking costs no more than looking up.
func (s *plan) cheap(walk condition, branches []branch) (bool, error) {
	along := s.scope
	along.and(s.after)
	if len(branches) == 1 {
		var of branch
		for _, e := range branches[0].terms {
			if f, plain := s.in.property(e); plain && f.column == s.order && e.Op != filter.Ne {
				of.terms = append(of.terms, e)
			}
		}
		bounds, err := s.branch(of, nil)
		if err != nil {
			return false, err
		}
		along.and(bounds)
	}
	index := indexedBy(s.indexes[s.order][s.order])
	more, err := s.reaches(s.tx.db.fewRows, index, along)
	if err != nil || !more {
		return err == nil, err
	}
	// The last of the few rows, and whether a page is before it.
	last := fmt.Sprintf("SELECT %s FROM %s%s WHERE %s ORDER BY %s LIMIT 1 OFFSET %d", s.order, s.table, index, along.sql, s.by, s.tx.db.fewRows-1)
	than := "<="
	if s.desc {
		than = ">="
	}
	full, err := s.reaches(s.top, index, walk, condition{s.order + " " + than + " (" + last + ")", along.args})
	if err != nil || full {
		return full, err
	}
	walked, matched, err := s.sample(along, walk)
	return walked < 2*matched, err
}

// sample counts, among some hundred rows from everywhere, those that a walk
// along meets, and those that match.
func (s *plan) sample(along, match condition) (walked, matched int, err error) {
	const size = 400
	var first, last sql.NullInt64
	if err := s.tx.queryRow(fmt.Sprintf("SELECT (SELECT min(seq) FROM %[1]s), (SELECT max(seq) FROM %[1]s)", s.table)).Scan(&first, &last); err != nil {
		return 0, 0, err
	}
	some := condition{"seq IN (?" + strings.Repeat(", ?", size-1) + ")", nil}
	rng := rand.New(rand.NewPCG(1, 1))
	for range size {
		some.args = append(some.args, first.Int64+rng.Int64N(last.Int64-first.Int64+1))
	}
	err = s.tx.queryRow(fmt.Sprintf("SELECT count(CASE WHEN %s THEN 1 END), count(CASE WHEN %s THEN 1 END) FROM %s WHERE %s", along.sql, match.sql, s.table, some.sql),
		slices.Concat(along.args, match.args, some.args)...).Scan(&walked, &matched)
	return walked, matched, err
}

// reaches reports whether n rows or more match.
func (s *plan) reaches(n int, index string, conditions ...condition) (found bool, err error) {
	var where condition
	for _, c := range conditions {
		where.and(c)
	}
	err = s.tx.queryRow(fmt.Sprintf("SELECT EXISTS (SELECT 1 FROM %s%s WHERE %s LIMIT 1 OFFSET %d)", s.table, index, where.sql, n-1), where.args...).Scan(&found)
	return found, err
}

// bound is a place in the order before which a page of where, by a range,
// surely ends. SQLite sorts slowly what comes in the opposite order, so the
// bound is taken from both ends of the range.
func (s *plan) bound(where condition, way access) (condition, error) {
	worst, best, than := "max", "min", "<="
	if s.desc {
		worst, best, than = best, worst, ">="
	}
	end := func(direction string) string {
		return fmt.Sprintf("SELECT %s(o) AS o FROM (SELECT %s AS o FROM %s%s WHERE %s ORDER BY %s%s LIMIT %d) HAVING count(*) = %d",
			worst, s.order, s.table, indexedBy(way.index), where.sql, way.column, direction, s.top, s.top)
	}
	var at any
	err := s.tx.queryRow("SELECT "+best+"(o) FROM (SELECT * FROM ("+end("")+") UNION ALL SELECT * FROM ("+end(" DESC")+"))",
		slices.Concat(where.args, where.args)...).Scan(&at)
	if err != nil || at == nil {
		return condition{}, err
	}
	return condition{"+" + s.order + " " + than + " ?", []any{at}}, nil
}

// branch is b as SQL, for which indexes serve what indexed says.
func (s *plan) branch(b branch, indexed func(field, filter.Op) bool) (where condition, err error) {
	for _, e := range b.terms {
		match, err := s.in.part(e, indexed)
		if err != nil {
			return where, err
		}
		where.and(match)
	}
	for i, e := range b.in {
		match, err := s.in.part(e, indexed)
		if err != nil {
			return where, err
		}
		if i == 0 {
			f, _ := s.in.property(e)
			where.sql = f.column + " IN (?" + strings.Repeat(", ?", len(b.in)-1) + ")"
		}
		where.args = append(where.args, match.args...)
	}
	return where, nil
}

// branches are the alternatives of e, those that ask for other values of one
// property as one; not ok if they are too many.
func (s *plan) branches(e *filter.Expr) (bs []branch, ok bool) {
	all, ok := s.alternatives(e, false)
	values := map[string]int{} // by column: the branch of its values
	for _, terms := range all {
		if slices.ContainsFunc(terms, func(e *filter.Expr) bool { return s.never(e) }) {
			continue
		}
		terms = slices.DeleteFunc(terms, func(e *filter.Expr) bool { return s.never(opposed(e)) })
		f, plain := field{}, false
		if len(terms) == 1 {
			f, plain = s.in.property(terms[0])
		}
		if !plain || terms[0].Op != filter.Eq {
			bs = append(bs, branch{terms: terms})
		} else if i, found := values[f.column]; found {
			bs[i].in = append(bs[i].in, terms[0])
		} else {
			values[f.column] = len(bs)
			bs = append(bs, branch{in: terms})
		}
	}
	return bs, ok && len(bs) <= maxBranches
}

var opposite = map[filter.Op]filter.Op{
	filter.Eq: filter.Ne, filter.Ne: filter.Eq, filter.Gt: filter.Le, filter.Le: filter.Gt, filter.Ge: filter.Lt, filter.Lt: filter.Ge,
}

// alternatives is e, or not e, in disjunctive normal form; not ok if it is
// long. No column is NULL, so of a comparison and its opposite one holds.
func (s *plan) alternatives(e *filter.Expr, not bool) (all [][]*filter.Expr, ok bool) {
	const most = 1000
	switch e.Op {
	case filter.Not:
		return s.alternatives(e.Args[0], !not)
	case filter.And, filter.Or:
		left, ok1 := s.alternatives(e.Args[0], not)
		right, ok2 := s.alternatives(e.Args[1], not)
		if !ok1 || !ok2 {
			return nil, false
		}
		if (e.Op == filter.Or) != not {
			return append(left, right...), len(left)+len(right) <= most
		}
		if len(left)*len(right) > most {
			return nil, false
		}
		for _, l := range left {
			for _, r := range right {
				if len(l)+len(r) > most/10 {
					return nil, false
				}
				all = append(all, slices.Concat(l, r))
			}
		}
		return all, true
	}
	if not {
		return [][]*filter.Expr{{opposed(e)}}, true
	}
	if e.Op == filter.Call && e.Name == "startswith" {
		from := &filter.Expr{Op: filter.Ge, Args: e.Args}
		prefix, _ := e.Args[1].Value.(string)
		_, plain := s.in.property(from)
		if above, ok := above(prefix); ok && plain && e.Args[0].Op == filter.Field {
			return [][]*filter.Expr{{from, {Op: filter.Lt, Args: []*filter.Expr{e.Args[0], {Op: filter.Literal, Value: above}}}}}, true
		}
	}
	return [][]*filter.Expr{{e}}, true
}

// opposed is not e.
func opposed(e *filter.Expr) *filter.Expr {
	if op, comparison := opposite[e.Op]; comparison {
		return &filter.Expr{Op: op, Args: e.Args}
	}
	return &filter.Expr{Op: filter.Not, Args: []*filter.Expr{e}}
}

// never reports whether e compares a property that is always 0 with what it is not.
func (s *plan) never(e *filter.Expr) bool {
	f, plain := s.in.property(e)
	if !plain || !f.zero {
		return false
	}
	v, op := e.Args[1].Value, e.Op
	if e.Args[0].Op == filter.Literal {
		v, op = e.Args[0].Value, cmp.Or(flipped[op], op)
	}
	n, _ := v.(float64)
	if i, ok := v.(int64); ok {
		n = float64(i)
	}
	c := cmp.Compare(0, n)
	holds := map[filter.Op]bool{filter.Eq: c == 0, filter.Ne: c != 0, filter.Gt: c > 0, filter.Ge: c >= 0, filter.Lt: c < 0, filter.Le: c <= 0}
	return !holds[op]
}

// above is the least text above all that start with prefix.
func above(prefix string) (string, bool) {
	r, n := utf8.DecodeLastRuneInString(prefix)
	if n == 0 || r >= 0xD7FF { // the last before those that are no characters
		return "", false
	}
	return prefix[:len(prefix)-n] + string(r+1), true
}
