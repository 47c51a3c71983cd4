package odata

import "strconv"

// d wraps what write writes as verbose JSON is.
func d(write func(w *jsonWriter)) []byte {
	w := new(jsonWriter)
	w.open('{')
	w.name("d")
	write(w)
	w.close('}')
	return w.Bytes()
}

func (s *Server) verboseEntry(c *call, rec *record) []byte {
	return d(func(w *jsonWriter) { s.verboseRecord(w, c, rec) })
}

func (s *Server) verboseFeed(c *call, l *list) []byte {
	return d(func(w *jsonWriter) { s.verboseList(w, c, l) })
}

func (s *Server) verboseList(w *jsonWriter, c *call, l *list) {
	w.open('{')
	if l.counted {
		w.pair("__count", strconv.FormatInt(l.count, 10))
	}
	w.name("results")
	w.open('[')
	for _, rec := range l.records {
		s.verboseRecord(w, c, rec)
	}
	w.close(']')
	if l.next != "" {
		w.pair("__next", l.next)
	}
	w.close('}')
}

func (s *Server) verboseRecord(w *jsonWriter, c *call, rec *record) {
	uri := c.root + rec.set.keyURL(rec.key)
	w.open('{')
	w.name("__metadata")
	w.open('{')
	w.pair("id", uri)
	w.pair("uri", uri)
	w.pair("type", s.model.Namespace+"."+rec.set.Type)
	w.close('}')
	for _, nav := range rec.set.Navigation {
		if !rec.show.shows(nav.Name) {
			if _, ok := rec.show.expanded(nav.Name); !ok {
				continue
			}
		}
		w.name(nav.Name)
		if l, ok := rec.related[nav.Name]; ok {
			s.verboseList(w, c, l)
			continue
		}
		if one, ok := rec.single[nav.Name]; ok {
			if one == nil {
				w.raw("null")
				continue
			}
			s.verboseRecord(w, c, one)
			continue
		}
		w.open('{')
		w.name("__deferred")
		w.open('{')
		w.pair("uri", uri+"/"+nav.Name)
		w.close('}')
		w.close('}')
	}
	for _, p := range rec.set.Properties {
		if rec.show.shows(p.Name) {
			w.name(p.Name)
			s.verboseAny(w, p.Type, rec.values[p.Name], dates(c))
		}
	}
	w.close('}')
}

func (s *Server) verboseAny(w *jsonWriter, typ string, v any, old bool) {
	if e, ok := element(typ); ok {
		items, _ := v.([]any)
		w.open('{')
		w.name("__metadata")
		w.open('{')
		w.pair("type", s.model.wire(typ))
		w.close('}')
		w.name("results")
		w.open('[')
		for _, item := range items {
			s.verboseAny(w, e, item, old)
		}
		w.close(']')
		w.close('}')
		return
	}
	complex := s.model.complex(typ)
	value, ok := v.(Entity)
	if complex == nil || !ok {
		w.scalar(typ, v, verbose, old)
		return
	}
	w.open('{')
	w.name("__metadata")
	w.open('{')
	w.pair("type", s.model.wire(typ))
	w.close('}')
	for _, p := range complex.Properties {
		w.name(p.Name)
		s.verboseAny(w, p.Type, value[p.Name], old)
	}
	w.close('}')
}

func (s *Server) verboseValue(c *call, name, typ string, v any) []byte {
	return d(func(w *jsonWriter) {
		w.open('{')
		w.name(name)
		s.verboseAny(w, typ, v, dates(c))
		w.close('}')
	})
}

func verboseLinks(t *target, urls []string, count int64, next string) []byte {
	return d(func(w *jsonWriter) {
		w.open('{')
		if !t.nav.Many {
			w.pair("uri", urls[0])
			w.close('}')
			return
		}
		if count >= 0 {
			w.pair("__count", strconv.FormatInt(count, 10))
		}
		w.name("results")
		w.open('[')
		for _, u := range urls {
			w.open('{')
			w.pair("uri", u)
			w.close('}')
		}
		w.close(']')
		if next != "" {
			w.pair("__next", next)
		}
		w.close('}')
	})
}
