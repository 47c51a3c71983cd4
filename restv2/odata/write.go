package odata

import "net/http"

func (s *Server) writeRecord(c *call, status int, rec *record) *response {
	resp := newResponse(status)
	resp.header.Set("DataServiceVersion", "3.0;")
	switch {
	case c.format == atom:
		resp.set("application/atom+xml;type=entry;charset=utf-8", s.atomEntry(c, rec))
	case c.format == verbose:
		resp.set(formatTypes[verbose], s.verboseEntry(c, rec))
	default:
		resp.set(formatTypes[c.format], s.lightEntry(c, rec))
	}
	return resp
}

func (s *Server) writeList(c *call, l *list) *response {
	resp := newResponse(http.StatusOK)
	resp.header.Set("DataServiceVersion", "3.0;")
	switch {
	case c.format == atom:
		resp.set("application/atom+xml;type=feed;charset=utf-8", s.atomFeed(c, l))
	case c.format == verbose:
		resp.set(formatTypes[verbose], s.verboseFeed(c, l))
	default:
		resp.set(formatTypes[c.format], s.lightFeed(c, l))
	}
	return resp
}

// writeValue answers with a property or what a function returned.
func (s *Server) writeValue(c *call, name, typ string, v any) *response {
	resp := newResponse(http.StatusOK)
	resp.header.Set("DataServiceVersion", versionOf(c.format))
	switch {
	case c.format == atom:
		resp.set(formatTypes[atom], s.xmlValue(name, typ, v))
	case c.format == verbose:
		resp.set(formatTypes[verbose], s.verboseValue(c, name, typ, v))
	default:
		resp.set(formatTypes[c.format], s.lightValue(c, typ, v))
	}
	return resp
}

// writeLinks answers with URLs; a count below zero was not asked for.
func (s *Server) writeLinks(c *call, t *target, urls []string, count int64, next string) *response {
	resp := newResponse(http.StatusOK)
	resp.header.Set("DataServiceVersion", versionOf(c.format))
	switch {
	case c.format == atom:
		resp.set(formatTypes[atom], xmlLinks(t, urls, count, next))
	case c.format == verbose:
		resp.set(formatTypes[verbose], verboseLinks(t, urls, count, next))
	default:
		resp.set(formatTypes[c.format], s.lightLinks(c, t, urls, count, next))
	}
	return resp
}

func writeErrorBody(f format, e *Error) []byte {
	switch {
	case f == atom:
		return xmlError(e)
	case f == verbose:
		return jsonError("error", e)
	}
	return jsonError("odata.error", e)
}
