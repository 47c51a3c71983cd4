package filter

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

type kind int

const (
	end    kind = iota
	word        // text: a keyword, a path or a bare literal
	quoted      // text between the quotes, unescaped; prefix before them: datetime'…'
	open
	shut
	comma
)

type token struct {
	kind   kind
	prefix string
	text   string
	pos    int // byte offset
}

func (t token) String() string {
	switch t.kind {
	case end:
		return "the end"
	case quoted:
		return t.prefix + quote(t.text)
	case open:
		return "'('"
	case shut:
		return "')'"
	case comma:
		return "','"
	}
	return "'" + t.text + "'"
}

type lexer struct {
	text string
	at   int // byte offset of what follows tok
	tok  token
}

// fail is an Error about the current token.
func (l *lexer) fail(format string, args ...any) error {
	return &Error{1 + utf8.RuneCountInString(l.text[:l.tok.pos]), fmt.Sprintf(format, args...)}
}

// keyword reports whether the current token is the given keyword.
func (l *lexer) keyword(s string) bool {
	return l.tok.kind == word && strings.EqualFold(l.tok.text, s)
}

// next reads the next token into tok.
func (l *lexer) next() error {
	for l.at < len(l.text) && strings.IndexByte(" \t\r\n", l.text[l.at]) >= 0 {
		l.at++
	}
	l.tok = token{pos: l.at}
	if l.at == len(l.text) {
		return nil
	}
	if i := strings.IndexByte("(),", l.text[l.at]); i >= 0 {
		l.tok.kind = []kind{open, shut, comma}[i]
		l.at++
		return nil
	}
	rest := l.text[l.at:]
	n := strings.IndexAny(rest, " \t\r\n(),'")
	if n < 0 {
		n = len(rest)
	}
	l.at += n
	if n == len(rest) || rest[n] != '\'' {
		l.tok.kind, l.tok.text = word, rest[:n]
		return nil
	}
	l.tok.kind, l.tok.prefix = quoted, rest[:n]
	var b strings.Builder
	for {
		l.at++ // over the quote that opens, or the second of a pair
		i := strings.IndexByte(l.text[l.at:], '\'')
		if i < 0 {
			return l.fail("text without a closing quote")
		}
		b.WriteString(l.text[l.at : l.at+i])
		l.at += i + 1
		if l.at == len(l.text) || l.text[l.at] != '\'' {
			l.tok.text = b.String()
			return nil
		}
		b.WriteByte('\'')
	}
}

var enumType = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)+$`)

// value is the literal that a quoted token spells.
func (t token) value() (any, error) {
	switch strings.ToLower(t.prefix) {
	case "":
		return t.text, nil
	case "datetime", "datetimeoffset":
		return ParseTime(t.text)
	case "guid":
		if !guidText.MatchString(t.text) {
			return nil, fmt.Errorf("'%s' is not a guid", t.text)
		}
		return GUID(strings.ToLower(t.text)), nil
	}
	if enumType.MatchString(t.prefix) {
		return Enum{Type: t.prefix, Name: t.text}, nil
	}
	return nil, fmt.Errorf("unknown literal %s", t)
}
