package odata

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of a body.
const (
	maxDepth  = 32
	maxValues = 200_000
)

// An object is a JSON object, or an Atom entry read as if it were verbose
// JSON. Its values are nil, bool, json.Number, string, []any and *object.
type object struct {
	members []member
}

type member struct {
	name  string
	value any
}

func (o *object) get(name string) (any, bool) {
	for _, m := range o.members {
		if m.name == name {
			return m.value, true
		}
	}
	return nil, false
}

// parseJSON reads JSON as leniently as AMS did, and its documents and clients
// need it: doubled and trailing commas, strings in single quotes and control
// characters in strings are let pass.
func parseJSON(b []byte) (any, error) {
	if !utf8.Valid(b) {
		return nil, BadRequest("The body of the request is not UTF-8.")
	}
	p := &jsonParser{text: string(b)}
	v, err := p.value(0)
	if err == nil {
		if p.blanks(); p.at < len(p.text) {
			err = errors.New("there is more after the end")
		}
	}
	if err != nil {
		return nil, BadRequest("Error processing request stream. The body is not JSON: %v at byte %d.", err, p.at)
	}
	return v, nil
}

type jsonParser struct {
	text   string
	at     int
	values int
}

func (p *jsonParser) blanks() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// peek is the next character that is no blank; 0 at the end.
func (p *jsonParser) peek() byte {
	if p.blanks(); p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

func (p *jsonParser) value(depth int) (any, error) {
	if depth == maxDepth {
		return nil, fmt.Errorf("nested more than %d deep", maxDepth)
	}
	if p.values++; p.values > maxValues {
		return nil, fmt.Errorf("more than %d values", maxValues)
	}
	switch c := p.peek(); c {
	case 0:
		return nil, errors.New("it ends too early")
	case '{':
		return p.object(depth)
	case '[':
		return p.array(depth)
	case '"', '\'':
		return p.string()
	}
	return p.bare()
}

// commas skips any number of them, and reports whether there was one.
func (p *jsonParser) commas() bool {
	found := false
	for p.peek() == ',' {
		p.at++
		found = true
	}
	return found
}

func (p *jsonParser) object(depth int) (any, error) {
	o := &object{}
	p.at++
	seen := map[string]bool{}
	for separated := true; ; separated = p.commas() {
		c := p.peek()
		if c == '}' {
			p.at++
			return o, nil
		}
		if !separated || c != '"' && c != '\'' {
			return nil, errors.New("a comma, a name or } is expected")
		}
		name, err := p.string()
		if err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, fmt.Errorf("the name '%s' comes twice", clip(name))
		}
		seen[name] = true
		if p.peek() != ':' {
			return nil, errors.New("a colon is expected")
		}
		p.at++
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		o.members = append(o.members, member{name, v})
	}
}

func (p *jsonParser) array(depth int) (any, error) {
	items := []any{}
	p.at++
	for separated := true; ; separated = p.commas() {
		if p.peek() == ']' {
			p.at++
			return items, nil
		}
		if !separated {
			return nil, errors.New("a comma or ] is expected")
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		items = append(items, v)
	}
}

// string reads a string in either kind of quotes.
func (p *jsonParser) string() (string, error) {
	quote := p.text[p.at]
	p.at++
	var b strings.Builder
	for p.at < len(p.text) {
		start := p.at
		for p.at < len(p.text) && p.text[p.at] != quote && p.text[p.at] != '\\' {
			p.at++
		}
		b.WriteString(p.text[start:p.at])
		if p.at == len(p.text) {
			break
		}
		p.at++
		if p.text[p.at-1] == quote {
			return b.String(), nil
		}
		r, err := p.escape()
		if err != nil {
			return "", err
		}
		b.WriteRune(r)
	}
	return "", errors.New("a string has no end")
}

var escapes = map[byte]rune{'"': '"', '\'': '\'', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escape reads what follows a backslash.
func (p *jsonParser) escape() (rune, error) {
	if p.at == len(p.text) {
		return 0, errors.New("a string has no end")
	}
	c := p.text[p.at]
	p.at++
	if r, ok := escapes[c]; ok {
		return r, nil
	}
	if c != 'u' {
		return 0, errors.New("an escape is unknown")
	}
	r, ok := p.hex()
	if !ok {
		return 0, errors.New("\\u needs four hexadecimal digits")
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if strings.HasPrefix(p.text[p.at:], `\u`) {
		before := p.at
		p.at += 2
		if low, ok := p.hex(); ok {
			if joined := utf16.DecodeRune(r, low); joined != utf8.RuneError {
				return joined, nil
			}
		}
		p.at = before
	}
	return utf8.RuneError, nil
}

func (p *jsonParser) hex() (rune, bool) {
	if p.at+4 > len(p.text) {
		return 0, false
	}
	n, err := strconv.ParseUint(p.text[p.at:p.at+4], 16, 32)
	p.at += 4
	return rune(n), err == nil
}

var numberText = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

func (p *jsonParser) bare() (any, error) {
	n := strings.IndexAny(p.text[p.at:], " \t\r\n,:]}[{\"'")
	if n < 0 {
		n = len(p.text) - p.at
	}
	word := p.text[p.at : p.at+n]
	switch word {
	case "null":
		p.at += n
		return nil, nil
	case "true", "false":
		p.at += n
		return word == "true", nil
	}
	if len(word) > 64 || !numberText.MatchString(word) {
		return nil, fmt.Errorf("'%s' is no value", clip(word))
	}
	p.at += n
	return json.Number(word), nil
}
