package restblob

import (
	"bytes"
	"encoding/xml"
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

func (b *xmlWriter) text(s string) { xml.EscapeText(&b.Buffer, []byte(s)) }

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
	for i, r := range s {
		_, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || r < ' ' && r != '\t' && r != '\n' || r == 0xFFFE || r == 0xFFFF {
			return false
		}
	}
	return true
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
