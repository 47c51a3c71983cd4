package odata

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/openams/openams/filter"
)

// Apply answers q from entities held in memory: for sets that are small. It
// leaves the order of those that q does not order.
func (q *Query) Apply(entities []Entity) (*Page, error) {
	var kept []Entity
	for _, e := range entities {
		ok, err := Match(q.Filter, e)
		if err != nil {
			return nil, err
		}
		if ok {
			kept = append(kept, e)
		}
	}
	if len(q.Orders) > 0 {
		slices.SortStableFunc(kept, func(a, b Entity) int {
			for _, o := range q.Orders {
				c := order(a.at(o.Field), b.at(o.Field))
				if o.Desc {
					c = -c
				}
				if c != 0 {
					return c
				}
			}
			return 0
		})
	}
	page := &Page{Count: int64(len(kept))}
	from := q.Skip
	if q.After != "" {
		n, err := strconv.Atoi(q.After)
		if err != nil || n < 0 {
			return nil, BadRequest("Incorrect format for $skiptoken argument '%s'.", clip(q.After))
		}
		from = n
	}
	from = min(from, len(kept))
	to := min(from+q.Top, len(kept))
	page.Entities = kept[from:to]
	if to < len(kept) {
		page.Next = strconv.Itoa(to)
	}
	return page, nil
}

// Match reports whether e passes the filter; a nil one lets all pass.
func Match(f *filter.Expr, e Entity) (bool, error) {
	if f == nil {
		return true, nil
	}
	v, err := evaluate(f, e)
	if err != nil {
		return false, err
	}
	ok, isBool := v.(bool)
	if !isBool && v != nil {
		return false, BadRequest("$filter is not a condition.")
	}
	return ok, nil
}

func (e Entity) at(path string) any {
	var v any = e
	for name := range strings.SplitSeq(path, "/") {
		in, ok := v.(Entity)
		if !ok {
			return nil
		}
		v = in[name]
	}
	return v
}

func evaluate(f *filter.Expr, e Entity) (any, error) {
	switch f.Op {
	case filter.Literal:
		return f.Value, nil
	case filter.Field:
		return e.at(f.Name), nil
	}
	args := make([]any, len(f.Args))
	for i, a := range f.Args {
		var err error
		if args[i], err = evaluate(a, e); err != nil {
			return nil, err
		}
		b, isBool := args[i].(bool)
		if f.Op == filter.And && isBool && !b || f.Op == filter.Or && isBool && b {
			return b, nil
		}
	}
	switch f.Op {
	case filter.Not:
		b, ok := args[0].(bool)
		if !ok && args[0] != nil {
			return nil, BadRequest("'not' is for conditions.")
		}
		return !b, nil
	case filter.And, filter.Or:
		return args[len(args)-1] == true, nil
	case filter.Call:
		return callFunction(f.Name, args)
	}
	return compare(f.Op, args[0], args[1])
}

func compare(op filter.Op, a, b any) (any, error) {
	a, b = comparable(a), comparable(b)
	if a == nil || b == nil {
		return op == filter.Eq && a == b || op == filter.Ne && a != b, nil
	}
	if kind(a) != kind(b) {
		return nil, BadRequest("A binary operator with incompatible types was detected in $filter: '%s'.", op)
	}
	c := order(a, b)
	switch op {
	case filter.Eq:
		return c == 0, nil
	case filter.Ne:
		return c != 0, nil
	case filter.Gt:
		return c > 0, nil
	case filter.Ge:
		return c >= 0, nil
	case filter.Lt:
		return c < 0, nil
	}
	return c <= 0, nil
}

// comparable brings what literals and entities hold to few types.
func comparable(v any) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case int32:
		return int64(v)
	case filter.GUID:
		return string(v)
	case filter.Enum:
		return v.Name
	case DateTime:
		return v.Time
	case time.Duration:
		return int64(v)
	}
	return v
}

func kind(v any) string {
	switch v.(type) {
	case int64, float64:
		return "number"
	case string:
		return "text"
	case bool:
		return "boolean"
	case time.Time:
		return "time"
	}
	return ""
}

// order compares two values of one kind; null comes first.
func order(a, b any) int {
	switch a := comparable(a).(type) {
	case nil:
		if b == nil {
			return 0
		}
		return -1
	case int64:
		switch b := comparable(b).(type) {
		case int64:
			return cmp.Compare(a, b)
		case float64:
			return cmp.Compare(float64(a), b)
		}
	case float64:
		switch b := comparable(b).(type) {
		case int64:
			return cmp.Compare(a, float64(b))
		case float64:
			return cmp.Compare(a, b)
		}
	case string:
		if b, ok := comparable(b).(string); ok {
			return cmp.Compare(a, b)
		}
	case bool:
		if b, ok := b.(bool); ok {
			switch {
			case a == b:
				return 0
			case b:
				return -1
			}
			return 1
		}
	case time.Time:
		if b, ok := comparable(b).(time.Time); ok {
			return a.Compare(b)
		}
	}
	return 1
}

func callFunction(name string, args []any) (any, error) {
	texts := make([]string, len(args))
	for i, a := range args {
		if a == nil {
			return nil, nil
		}
		s, ok := comparable(a).(string)
		if !ok {
			return nil, BadRequest("No function signature for the function with name '%s' matches the specified arguments.", name)
		}
		texts[i] = s
	}
	switch name {
	case "startswith":
		return strings.HasPrefix(texts[0], texts[1]), nil
	case "endswith":
		return strings.HasSuffix(texts[0], texts[1]), nil
	case "substringof":
		return strings.Contains(texts[1], texts[0]), nil
	case "concat":
		return texts[0] + texts[1], nil
	case "tolower":
		return strings.ToLower(texts[0]), nil
	case "toupper":
		return strings.ToUpper(texts[0]), nil
	case "trim":
		return strings.TrimSpace(texts[0]), nil
	case "length":
		return int64(utf8.RuneCountInString(texts[0])), nil
	}
	return nil, BadRequest("Unknown function '%s'.", name)
}
