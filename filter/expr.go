package filter

import (
	"strconv"
	"strings"
	"time"
)

// An Op says what an Expr is.
type Op int

// The kinds of Expr. Logical and comparison operators keep their operands in
// Args, in order.
const (
	Literal Op = iota // Value
	Field             // Name is the path: "name", "properties/created"
	Call              // Name is the function in lower case, Args its arguments
	Not
	And // two operands
	Or  // two operands
	Eq
	Ne
	Gt
	Ge
	Lt
	Le
)

var opNames = map[Op]string{Not: "not", And: "and", Or: "or", Eq: "eq", Ne: "ne", Gt: "gt", Ge: "ge", Lt: "lt", Le: "le"}

// String is the operator's keyword; empty for Literal, Field and Call.
func (o Op) String() string { return opNames[o] }

// An Expr is a node of a parsed $filter.
type Expr struct {
	Op   Op
	Name string
	Args []*Expr

	// Value of a Literal: nil, bool, int64, float64, string, time.Time, GUID
	// or Enum.
	Value any
}

// A GUID is a guid literal, in lower case with hyphens.
type GUID string

// An Enum is a literal such as Microsoft.Media.JobState'Finished'.
type Enum struct {
	Type string // "Microsoft.Media.JobState"
	Name string // "Finished"
}

// String is e as $filter text, with the parentheses it needs and no others:
// so it nests no deeper than the text that e was parsed from.
func (e *Expr) String() string {
	var b strings.Builder
	e.write(&b)
	return b.String()
}

func (e *Expr) write(b *strings.Builder) {
	switch e.Op {
	case Literal:
		writeLiteral(b, e.Value)
	case Field:
		b.WriteString(e.Name)
	case Call:
		b.WriteString(e.Name + "(")
		for i, a := range e.Args {
			if i > 0 {
				b.WriteString(",")
			}
			a.write(b)
		}
		b.WriteString(")")
	case Not:
		b.WriteString("not ")
		e.Args[0].operand(b, e.Args[0].Op.binds() < Not.binds())
	default:
		left, right := e.Args[0].Op.binds(), e.Args[1].Op.binds()
		comparison := e.Op >= Eq
		e.Args[0].operand(b, left < e.Op.binds() || comparison && left == e.Op.binds())
		b.WriteString(" " + e.Op.String() + " ")
		e.Args[1].operand(b, right <= e.Op.binds())
	}
}

// binds orders the operators: of two, the greater takes its operands first.
func (o Op) binds() int {
	switch o {
	case Or:
		return 1
	case And:
		return 2
	case Not:
		return 3
	case Eq, Ne, Gt, Ge, Lt, Le:
		return 4
	}
	return 5
}

func (e *Expr) operand(b *strings.Builder, parentheses bool) {
	if parentheses {
		b.WriteString("(")
		defer b.WriteString(")")
	}
	e.write(b)
}

func writeLiteral(b *strings.Builder, v any) {
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case float64:
		b.WriteString(strconv.FormatFloat(v, 'e', -1, 64))
	case string:
		b.WriteString(quote(v))
	case time.Time:
		b.WriteString(v.Format(time.RFC3339Nano))
	case GUID:
		b.WriteString("guid" + quote(string(v)))
	case Enum:
		b.WriteString(v.Type + quote(v.Name))
	}
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// An Order is one term of $orderby.
type Order struct {
	Field string
	Desc  bool
}
