package restblob

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const xmlHead = `<?xml version="1.0" encoding="utf-8"?>`

func writeXML(w http.ResponseWriter, status int, body []byte) error {
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, err := w.Write(body)
	return err
}

// An element writer: the lists are flat, and xml.Marshal cannot leave out
// elements the way Azure does.
type xmlWriter struct{ bytes.Buffer }

func (b *xmlWriter) text(s string) { xmlText(&b.Buffer, s) }

// xmlText writes s with the entities that have names alone: the JavaScript SDK
// leaves &#39; and its like as they are. What XML has no way to say is U+FFFD.
func xmlText(b *bytes.Buffer, s string) {
	for _, r := range s {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '"':
			b.WriteString("&quot;")
		case r == '\r':
			b.WriteString("&#xD;")
		case unsayable(r):
			b.WriteRune(utf8.RuneError)
		default:
			b.WriteRune(r)
		}
	}
}

// element writes <name>value</name>.
func (b *xmlWriter) element(name, value string) {
	b.WriteString("<" + name + ">")
	b.text(value)
	b.WriteString("</" + name + ">")
}

// given is element, left out when value is empty.
func (b *xmlWriter) given(name, value string) {
	if value != "" {
		b.element(name, value)
	}
}

// blobName writes a name, percent-encoded if XML 1.0 has no way to say it.
func (b *xmlWriter) blobName(name string) {
	if sayable(name) {
		b.element("Name", name)
		return
	}
	b.WriteString(`<Name Encoded="true">`)
	b.text(strings.ReplaceAll(url.PathEscape(name), "%2F", "/"))
	b.WriteString("</Name>")
}

func sayable(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return unsayable(r) || r == '\r' })
}

// unsayable are the characters that XML 1.0 has not.
func unsayable(r rune) bool {
	return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
}

func (b *xmlWriter) metadata(m map[string]string) {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	b.WriteString("<Metadata>")
	for _, name := range names {
		b.element(name, m[name])
	}
	b.WriteString("</Metadata>")
}

func invalidXML(err error) error {
	if f := toFault(err); f != nil { // the body was too large, or broke off
		return f
	}
	return bad("InvalidXmlDocument", "The specified XML is not syntactically valid.")
}
