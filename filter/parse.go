package filter

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of a $filter or $orderby. Whoever compiles the tree may rely on them.
const (
	MaxLength = 16 << 10 // bytes of text
	MaxDepth  = 50       // parentheses, nots and calls around each other
	MaxNodes  = 2000     // in a tree
	MaxOrders = 10       // terms of $orderby
)

// An Error says where and how a text breaks the grammar.
type Error struct {
	Pos int // of the offending character, counted from 1
	Msg string
}

func (e *Error) Error() string { return fmt.Sprintf("%s at position %d", e.Msg, e.Pos) }

// Parse reads a $filter; a blank one is nil. Keywords are taken in any case;
// "properties.created" is read as "properties/created". Errors are *Error.
func Parse(text string) (*Expr, error) {
	p, err := newParser(text)
	if err != nil || p.tok.kind == end {
		return nil, err
	}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.tok.kind != end {
		return nil, p.fail("unexpected %s", p.tok)
	}
	return e, nil
}

// ParseOrder reads a $orderby; a blank one is nil. Errors are *Error.
func ParseOrder(text string) ([]Order, error) {
	p, err := newParser(text)
	if err != nil || p.tok.kind == end {
		return nil, err
	}
	var orders []Order
	for {
		path, ok := fieldPath(p.tok)
		if !ok {
			return nil, p.fail("expected a property, found %s", p.tok)
		}
		if len(orders) == MaxOrders {
			return nil, p.fail("more than %d terms", MaxOrders)
		}
		o := Order{Field: path}
		if err := p.next(); err != nil {
			return nil, err
		}
		if p.keyword("asc") || p.keyword("desc") {
			o.Desc = p.keyword("desc")
			if err := p.next(); err != nil {
				return nil, err
			}
		}
		orders = append(orders, o)
		switch p.tok.kind {
		case end:
			return orders, nil
		case comma:
			if err := p.next(); err != nil {
				return nil, err
			}
		default:
			return nil, p.fail("expected a comma, asc or desc, found %s", p.tok)
		}
	}
}

type parser struct {
	lexer
	depth, nodes int
}

func newParser(text string) (*parser, error) {
	if len(text) > MaxLength {
		return nil, &Error{1, fmt.Sprintf("text is longer than %d bytes", MaxLength)}
	}
	if !utf8.ValidString(text) {
		return nil, &Error{1, "text is not UTF-8"}
	}
	p := &parser{lexer: lexer{text: text}}
	return p, p.next()
}

// node makes an Expr, counting it.
func (p *parser) node(e Expr) (*Expr, error) {
	if p.nodes++; p.nodes > MaxNodes {
		return nil, p.fail("more than %d terms", MaxNodes)
	}
	return &e, nil
}

// deeper guards each recursion.
func (p *parser) deeper(parse func() (*Expr, error)) (*Expr, error) {
	if p.depth == MaxDepth {
		return nil, p.fail("nested more than %d deep", MaxDepth)
	}
	p.depth++
	defer func() { p.depth-- }()
	return parse()
}

func (p *parser) or() (*Expr, error)  { return p.chain("or", Or, p.and) }
func (p *parser) and() (*Expr, error) { return p.chain("and", And, p.not) }

func (p *parser) chain(word string, op Op, operand func() (*Expr, error)) (*Expr, error) {
	left, err := operand()
	for err == nil && p.keyword(word) {
		if err = p.next(); err != nil {
			break
		}
		var right *Expr
		if right, err = operand(); err != nil {
			break
		}
		left, err = p.node(Expr{Op: op, Args: []*Expr{left, right}})
	}
	return left, err
}

// not binds looser than the comparisons here, so that "not name eq 'x'" is
// what it seems; OData would have it compare the negation of name.
func (p *parser) not() (*Expr, error) {
	if !p.keyword("not") {
		return p.comparison()
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	e, err := p.deeper(p.not)
	if err != nil {
		return nil, err
	}
	return p.node(Expr{Op: Not, Args: []*Expr{e}})
}

var comparisons = map[string]Op{"eq": Eq, "ne": Ne, "gt": Gt, "ge": Ge, "lt": Lt, "le": Le}

func (p *parser) comparison() (*Expr, error) {
	left, err := p.primary()
	if err != nil || p.tok.kind != word {
		return left, err
	}
	op, ok := comparisons[strings.ToLower(p.tok.text)]
	if !ok {
		return left, nil
	}
	if err := p.next(); err != nil {
		return nil, err
	}
	right, err := p.primary()
	if err != nil {
		return nil, err
	}
	return p.node(Expr{Op: op, Args: []*Expr{left, right}})
}

// functions are the ones of either API, with the number of their arguments.
var functions = map[string]int{
	"startswith": 2, "endswith": 2, "substringof": 2, "contains": 2, "concat": 2,
	"tolower": 1, "toupper": 1, "trim": 1, "length": 1,
}

func (p *parser) primary() (*Expr, error) {
	t := p.tok
	switch t.kind {
	case open:
		if err := p.next(); err != nil {
			return nil, err
		}
		e, err := p.deeper(p.or)
		if err != nil {
			return nil, err
		}
		if p.tok.kind != shut {
			return nil, p.fail("expected ), found %s", p.tok)
		}
		return e, p.next()
	case quoted:
		v, err := t.value()
		if err != nil {
			return nil, p.fail("%v", err)
		}
		return p.leaf(Expr{Op: Literal, Value: v})
	case word:
		if v, ok := bareLiteral(t.text); ok {
			return p.leaf(Expr{Op: Literal, Value: v})
		}
		path, ok := fieldPath(t)
		if !ok {
			return nil, p.fail("expected a property or a value, found %s", t)
		}
		if err := p.next(); err != nil {
			return nil, err
		}
		if p.tok.kind == open {
			p.tok.pos = t.pos // a complaint about the call is about its name
			return p.deeper(func() (*Expr, error) { return p.call(path) })
		}
		return p.node(Expr{Op: Field, Name: path})
	}
	return nil, p.fail("expected a property or a value, found %s", t)
}

func (p *parser) leaf(e Expr) (*Expr, error) {
	if err := p.next(); err != nil {
		return nil, err
	}
	return p.node(e)
}

// call reads the arguments of a function, from the parenthesis on.
func (p *parser) call(name string) (*Expr, error) {
	name = strings.ToLower(name)
	want, ok := functions[name]
	if !ok {
		return nil, p.fail("unknown function '%s'", name)
	}
	var args []*Expr
	for {
		if err := p.next(); err != nil { // over the parenthesis or comma
			return nil, err
		}
		a, err := p.or()
		if err != nil {
			return nil, err
		}
		args = append(args, a)
		if p.tok.kind == shut {
			break
		}
		if p.tok.kind != comma {
			return nil, p.fail("expected , or ) found %s", p.tok)
		}
	}
	if len(args) != want {
		return nil, p.fail("%s takes %d arguments, not %d", name, want, len(args))
	}
	return p.leaf(Expr{Op: Call, Name: name, Args: args})
}

var keywords = map[string]bool{"and": true, "or": true, "not": true, "eq": true, "ne": true,
	"gt": true, "ge": true, "lt": true, "le": true, "asc": true, "desc": true}

var pathText = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*([/.][A-Za-z_][A-Za-z0-9_]*)*$`)

func fieldPath(t token) (string, bool) {
	if t.kind != word || keywords[strings.ToLower(t.text)] || !pathText.MatchString(t.text) {
		return "", false
	}
	return strings.ReplaceAll(t.text, ".", "/"), true
}

var (
	guidText   = regexp.MustCompile(`^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$`)
	dateText   = regexp.MustCompile(`^[0-9]{4}-[0-9]`)
	numberText = regexp.MustCompile(`^(-?[0-9]+)(\.[0-9]+)?([eE][+-]?[0-9]+)?([LlMmDdFf]?)$`)
)

// bareLiteral reads a literal without quotes.
func bareLiteral(s string) (any, bool) {
	switch strings.ToLower(s) {
	case "null":
		return nil, true
	case "true":
		return true, true
	case "false":
		return false, true
	}
	if guidText.MatchString(s) {
		return GUID(strings.ToLower(s)), true
	}
	if dateText.MatchString(s) {
		t, err := ParseTime(s)
		return t, err == nil
	}
	m := numberText.FindStringSubmatch(s)
	if m == nil {
		return nil, false
	}
	if m[2] == "" && m[3] == "" && (m[4] == "" || strings.EqualFold(m[4], "L")) {
		n, err := strconv.ParseInt(m[1], 10, 64)
		return n, err == nil
	}
	f, err := strconv.ParseFloat(m[1]+m[2]+m[3], 64)
	return f, err == nil && !strings.EqualFold(m[4], "L")
}
