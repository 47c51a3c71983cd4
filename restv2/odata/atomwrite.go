package odata

import (
	"bytes"
	"encoding/xml"
	"strconv"
	"strings"
	"time"
)

// The namespaces of Atom as OData has it.
const (
	nsAtom    = "http://www.w3.org/2005/Atom"
	nsData    = "http://schemas.microsoft.com/ado/2007/08/dataservices"
	nsMeta    = nsData + "/metadata"
	nsScheme  = nsData + "/scheme"
	nsRelated = nsData + "/related/"
	nsApp     = "http://www.w3.org/2007/app"
)

const xmlHead = `<?xml version="1.0" encoding="utf-8"?>`

// An xmlWriter writes elements; names and attributes are ours, values not.
type xmlWriter struct {
	bytes.Buffer
}

// open writes a start tag: attributes are names and values in turn.
func (w *xmlWriter) open(name string, attributes ...string) {
	w.start(name, attributes)
	w.WriteByte('>')
}

// empty writes an element without content.
func (w *xmlWriter) empty(name string, attributes ...string) {
	w.start(name, attributes)
	w.WriteString(" />")
}

func (w *xmlWriter) start(name string, attributes []string) {
	w.WriteString("<" + name)
	for i := 0; i < len(attributes); i += 2 {
		w.WriteString(" " + attributes[i] + `="`)
		w.escape(attributes[i+1])
		w.WriteByte('"')
	}
}

func (w *xmlWriter) close(name string) { w.WriteString("</" + name + ">") }

// escape writes text. What XML cannot hold becomes U+FFFD.
func (w *xmlWriter) escape(s string) {
	var b bytes.Buffer
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		panic(err) // a buffer takes all
	}
	// No value of ours is in single quotes, and every URL of an entity has two.
	w.Write(bytes.ReplaceAll(b.Bytes(), []byte("&#39;"), []byte("'")))
}

func (w *xmlWriter) leaf(name, value string, attributes ...string) {
	if value == "" {
		w.empty(name, attributes...)
		return
	}
	w.open(name, attributes...)
	w.escape(value)
	w.close(name)
}

// now is when Atom says that an entry without a date was updated.
func now() string { return time.Now().UTC().Format("2006-01-02T15:04:05Z") }

func (s *Server) atomEntry(c *call, rec *record) []byte {
	w := new(xmlWriter)
	w.WriteString(xmlHead)
	s.entry(w, c, rec, true)
	return w.Bytes()
}

func (s *Server) entry(w *xmlWriter, c *call, rec *record, outer bool) {
	var attributes []string
	if outer {
		attributes = []string{"xml:base", c.root, "xmlns", nsAtom, "xmlns:d", nsData, "xmlns:m", nsMeta}
	}
	uri := rec.set.keyURL(rec.key)
	w.open("entry", attributes...)
	w.leaf("id", c.root+uri)
	w.empty("category", "term", s.model.Namespace+"."+rec.set.Type, "scheme", nsScheme)
	w.empty("link", "rel", "edit", "title", rec.set.Type, "href", uri)
	for _, nav := range rec.set.Navigation {
		s.navigationLink(w, c, rec, nav, uri)
	}
	w.empty("title")
	w.leaf("updated", updated(rec))
	w.WriteString("<author><name /></author>")
	if rec.show == nil || rec.show.all {
		for _, f := range s.model.Functions {
			if f.Set == rec.set.Name {
				w.empty("m:action", "metadata", c.root+"$metadata#"+s.model.Container+"."+f.Name, "title", f.Name, "target", c.root+uri+"/"+f.Name)
			}
		}
	}
	w.open("content", "type", "application/xml")
	w.open("m:properties")
	for _, p := range rec.set.Properties {
		if rec.show.shows(p.Name) {
			s.xmlAny(w, p.Name, p.Type, rec.values[p.Name])
		}
	}
	w.close("m:properties")
	w.close("content")
	w.close("entry")
}

// navigationLink writes the link of a navigation, with what $expand put in it.
func (s *Server) navigationLink(w *xmlWriter, c *call, rec *record, nav *Navigation, uri string) {
	l, many := rec.related[nav.Name]
	one, single := rec.single[nav.Name]
	if !rec.show.shows(nav.Name) && !many && !single {
		return
	}
	kind := "entry"
	if nav.Many {
		kind = "feed"
	}
	attributes := []string{"rel", nsRelated + nav.Name, "type", "application/atom+xml;type=" + kind, "title", nav.Name, "href", uri + "/" + nav.Name}
	if !many && !single {
		w.empty("link", attributes...)
		return
	}
	w.open("link", attributes...)
	w.open("m:inline")
	switch {
	case many:
		s.feed(w, c, l, nav.Name, uri+"/"+nav.Name, false)
	case one != nil:
		s.entry(w, c, one, false)
	}
	w.close("m:inline")
	w.close("link")
}

func updated(rec *record) string {
	for _, name := range []string{"LastModified", "Created"} {
		if t, ok := rec.values[name].(DateTime); ok {
			return t.UTC().Format("2006-01-02T15:04:05Z")
		}
	}
	return now()
}

func (s *Server) atomFeed(c *call, l *list) []byte {
	w := new(xmlWriter)
	w.WriteString(xmlHead)
	source := strings.TrimSuffix(l.source, "()")
	title := source[strings.LastIndexByte(source, '/')+1:]
	s.feed(w, c, l, title, escapePath(source), true)
	return w.Bytes()
}

func (s *Server) feed(w *xmlWriter, c *call, l *list, title, href string, outer bool) {
	var attributes []string
	if outer {
		attributes = []string{"xml:base", c.root, "xmlns", nsAtom, "xmlns:d", nsData, "xmlns:m", nsMeta}
	}
	w.open("feed", attributes...)
	if l.counted {
		w.leaf("m:count", strconv.FormatInt(l.count, 10))
	}
	w.leaf("id", c.root+href)
	w.leaf("title", title, "type", "text")
	w.leaf("updated", newest(l))
	w.empty("link", "rel", "self", "title", title, "href", href)
	if len(l.records) == 0 {
		w.WriteString("<author><name /></author>") // RFC 4287 wants one somewhere
	}
	for _, rec := range l.records {
		s.entry(w, c, rec, false)
	}
	if l.next != "" {
		w.empty("link", "rel", "next", "href", l.next)
	}
	w.close("feed")
}

func newest(l *list) string {
	latest := ""
	for _, rec := range l.records {
		latest = max(latest, updated(rec))
	}
	if latest == "" {
		return now()
	}
	return latest
}

// xmlAny writes a property below m:properties.
func (s *Server) xmlAny(w *xmlWriter, name, typ string, v any, attributes ...string) {
	element1, many := element(typ)
	name = "d:" + name
	if typ != "Edm.String" {
		attributes = append(attributes, "m:type", s.model.wire(typ))
	}
	items, _ := v.([]any)
	switch {
	case many:
		w.open(name, attributes...)
		for _, item := range items {
			s.xmlItem(w, element1, item)
		}
		w.close(name)
	case v == nil:
		w.empty(name, append(attributes, "m:null", "true")...)
	case s.model.complex(typ) != nil:
		w.open(name, attributes...)
		s.xmlMembers(w, typ, v)
		w.close(name)
	default:
		w.leaf(name, text(v), attributes...)
	}
}

func (s *Server) xmlItem(w *xmlWriter, typ string, item any) {
	if s.model.complex(typ) == nil {
		w.leaf("d:element", text(item))
		return
	}
	w.open("d:element")
	s.xmlMembers(w, typ, item)
	w.close("d:element")
}

func (s *Server) xmlMembers(w *xmlWriter, typ string, v any) {
	value, _ := v.(Entity)
	for _, p := range s.model.complex(typ).Properties {
		s.xmlAny(w, p.Name, p.Type, value[p.Name])
	}
}

func (s *Server) xmlValue(name, typ string, v any) []byte {
	w := new(xmlWriter)
	w.WriteString(xmlHead)
	s.xmlAny(w, name, typ, v, "xmlns:d", nsData, "xmlns:m", nsMeta)
	return w.Bytes()
}

func xmlLinks(t *target, urls []string, count int64, next string) []byte {
	w := new(xmlWriter)
	w.WriteString(xmlHead)
	if !t.nav.Many {
		w.leaf("uri", urls[0], "xmlns", nsData)
		return w.Bytes()
	}
	w.open("links", "xmlns", nsData)
	if count >= 0 {
		w.leaf("m:count", strconv.FormatInt(count, 10), "xmlns:m", nsMeta)
	}
	for _, u := range urls {
		w.leaf("uri", u)
	}
	if next != "" {
		w.leaf("next", next)
	}
	w.close("links")
	return w.Bytes()
}

func xmlError(e *Error) []byte {
	w := new(xmlWriter)
	w.WriteString(xmlHead)
	w.open("m:error", "xmlns:m", nsMeta)
	w.leaf("m:code", e.Code)
	w.leaf("m:message", e.Message, "xml:lang", "en-US")
	w.close("m:error")
	return w.Bytes()
}
