package odata

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A jsonWriter writes JSON member by member, in the order that AMS had.
type jsonWriter struct {
	bytes.Buffer
	comma bool // before the next member or item
}

func (w *jsonWriter) open(c byte) {
	w.sep()
	w.WriteByte(c)
	w.comma = false
}

func (w *jsonWriter) close(c byte) {
	w.WriteByte(c)
	w.comma = true
}

func (w *jsonWriter) sep() {
	if w.comma {
		w.WriteByte(',')
	}
	w.comma = true
}

func (w *jsonWriter) name(s string) {
	w.sep()
	w.quote(s)
	w.WriteByte(':')
	w.comma = false
}

func (w *jsonWriter) quote(s string) {
	e := json.NewEncoder(&w.Buffer)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // strings encode
	}
	w.Truncate(w.Len() - 1) // Encode ends the line
}

func (w *jsonWriter) raw(s string) {
	w.sep()
	w.WriteString(s)
}

func (w *jsonWriter) text(s string) {
	w.sep()
	w.quote(s)
}

func (w *jsonWriter) pair(name, value string) {
	w.name(name)
	w.text(value)
}

// dates says how verbose JSON spells a time: clients that do not take version
// 3 of OData read /Date(ms)/ alone.
func dates(c *call) bool {
	v := serviceVersion(c.header.Get("MaxDataServiceVersion"))
	return v == "1.0" || v == "2.0"
}

// scalar writes a primitive value.
func (w *jsonWriter) scalar(typ string, v any, f format, old bool) {
	switch v := v.(type) {
	case nil:
		w.raw("null")
	case bool:
		w.raw(strconv.FormatBool(v))
	case int64:
		if typ == "Edm.Int64" {
			w.text(text(v))
			return
		}
		w.raw(text(v))
	case float64:
		s := formatDouble(v)
		if f.light() && !strings.ContainsAny(s, ".E") {
			s += ".0"
		}
		w.raw(s)
	case DateTime:
		if f == verbose && old {
			w.raw(fmt.Sprintf(`"\/Date(%d)\/"`, v.UnixMilli()))
			return
		}
		w.text(v.String())
	case time.Duration:
		w.text(FormatDuration(v))
	default:
		w.text(text(v))
	}
}

func (s *Server) lightEntry(c *call, rec *record) []byte {
	w := new(jsonWriter)
	w.open('{')
	if c.format != none {
		w.pair("odata.metadata", c.root+"$metadata#"+rec.set.Name+rec.show.suffix(rec.set)+"/@Element")
	}
	s.lightMembers(w, c, rec)
	w.close('}')
	return w.Bytes()
}

// suffix says in a metadata URL which properties were selected.
func (s *selection) suffix(set *EntitySet) string {
	if s == nil || s.all {
		return ""
	}
	var names []string
	for _, p := range set.Properties {
		if s.names[p.Name] {
			names = append(names, p.Name)
		}
	}
	for _, n := range set.Navigation {
		if s.names[n.Name] {
			names = append(names, n.Name)
		}
	}
	return "&$select=" + strings.Join(names, ",")
}

func (s *Server) lightMembers(w *jsonWriter, c *call, rec *record) {
	uri := rec.set.keyURL(rec.key)
	if c.format == full {
		w.pair("odata.type", s.model.Namespace+"."+rec.set.Type)
		w.pair("odata.id", c.root+uri)
		w.pair("odata.editLink", uri)
	}
	for _, nav := range rec.set.Navigation {
		if c.format == full && rec.show.shows(nav.Name) {
			w.pair(nav.Name+"@odata.navigationLinkUrl", uri+"/"+nav.Name)
		}
		if l, ok := rec.related[nav.Name]; ok {
			if l.next != "" && c.format != none {
				w.pair(nav.Name+"@odata.nextLink", l.next)
			}
			w.name(nav.Name)
			s.lightItems(w, c, l)
		} else if one, ok := rec.single[nav.Name]; ok {
			w.name(nav.Name)
			if one == nil {
				w.raw("null")
				continue
			}
			w.open('{')
			s.lightMembers(w, c, one)
			w.close('}')
		}
	}
	for _, p := range rec.set.Properties {
		if rec.show.shows(p.Name) {
			s.lightMember(w, c, p, rec.values[p.Name])
		}
	}
	if c.format == full && (rec.show == nil || rec.show.all) {
		for _, f := range s.model.Functions {
			if f.Set == rec.set.Name {
				w.name("#" + s.model.Container + "." + f.Name)
				w.open('{')
				w.pair("title", f.Name)
				w.pair("target", c.root+uri+"/"+f.Name)
				w.close('}')
			}
		}
	}
}

// native are the types that JSON tells by itself.
var native = []string{"Edm.String", "Edm.Int32", "Edm.Double", "Edm.Boolean"}

func (s *Server) lightMember(w *jsonWriter, c *call, p *Property, v any) {
	_, many := element(p.Type)
	if c.format == full && !slices.Contains(native, p.Type) && (v != nil || many) && s.model.complex(p.Type) == nil {
		w.pair(p.Name+"@odata.type", s.model.wire(p.Type))
	}
	w.name(p.Name)
	s.lightAny(w, c, p.Type, v)
}

func (s *Server) lightAny(w *jsonWriter, c *call, typ string, v any) {
	if e, ok := element(typ); ok {
		items, _ := v.([]any)
		w.open('[')
		for _, item := range items {
			s.lightAny(w, c, e, item)
		}
		w.close(']')
		return
	}
	complex := s.model.complex(typ)
	value, ok := v.(Entity)
	if complex == nil || !ok {
		w.scalar(typ, v, c.format, false)
		return
	}
	w.open('{')
	if c.format == full {
		w.pair("odata.type", s.model.wire(typ))
	}
	for _, p := range complex.Properties {
		s.lightMember(w, c, p, value[p.Name])
	}
	w.close('}')
}

func (s *Server) lightFeed(c *call, l *list) []byte {
	w := new(jsonWriter)
	w.open('{')
	if c.format != none {
		suffix := ""
		if len(l.records) > 0 {
			suffix = l.records[0].show.suffix(l.set)
		}
		w.pair("odata.metadata", c.root+"$metadata#"+l.set.Name+suffix)
	}
	if l.counted {
		w.pair("odata.count", strconv.FormatInt(l.count, 10))
	}
	w.name("value")
	s.lightItems(w, c, l)
	if l.next != "" {
		w.pair("odata.nextLink", l.next)
	}
	w.close('}')
	return w.Bytes()
}

func (s *Server) lightItems(w *jsonWriter, c *call, l *list) {
	w.open('[')
	for _, rec := range l.records {
		w.open('{')
		s.lightMembers(w, c, rec)
		w.close('}')
	}
	w.close(']')
}

func (s *Server) lightValue(c *call, typ string, v any) []byte {
	w := new(jsonWriter)
	w.open('{')
	complex := s.model.complex(typ)
	value, isComplex := v.(Entity)
	_, many := element(typ)
	null := v == nil && !many
	if c.format != none {
		shown := s.model.wire(typ)
		if null {
			shown = "Edm.Null"
		}
		w.pair("odata.metadata", c.root+"$metadata#"+shown)
	}
	switch {
	case null:
		w.name("odata.null")
		w.raw("true")
	case complex != nil && isComplex:
		for _, p := range complex.Properties {
			s.lightMember(w, c, p, value[p.Name])
		}
	default:
		w.name("value")
		s.lightAny(w, c, typ, v)
	}
	w.close('}')
	return w.Bytes()
}

func (s *Server) lightLinks(c *call, t *target, urls []string, count int64, next string) []byte {
	w := new(jsonWriter)
	w.open('{')
	if c.format != none {
		w.pair("odata.metadata", c.root+"$metadata#"+t.parent.set.Name+"/$links/"+t.nav.Name)
	}
	if !t.nav.Many {
		w.pair("url", urls[0])
		w.close('}')
		return w.Bytes()
	}
	if count >= 0 {
		w.pair("odata.count", strconv.FormatInt(count, 10))
	}
	w.name("value")
	w.open('[')
	for _, u := range urls {
		w.open('{')
		w.pair("url", u)
		w.close('}')
	}
	w.close(']')
	if next != "" {
		w.pair("odata.nextLink", next)
	}
	w.close('}')
	return w.Bytes()
}

func jsonError(name string, e *Error) []byte {
	w := new(jsonWriter)
	w.open('{')
	w.name(name)
	w.open('{')
	w.pair("code", e.Code)
	w.name("message")
	w.open('{')
	w.pair("lang", "en-US")
	w.pair("value", e.Message)
	w.close('}')
	w.close('}')
	w.close('}')
	return w.Bytes()
}
