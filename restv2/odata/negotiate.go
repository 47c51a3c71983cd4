package odata

import (
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// A format is a representation.
type format int

const (
	atom format = iota
	minimal
	full
	none
	verbose
)

func (f format) light() bool { return f == minimal || f == full || f == none }

var formatTypes = map[format]string{
	minimal: "application/json;odata=minimalmetadata;streaming=true;charset=utf-8",
	full:    "application/json;odata=fullmetadata;streaming=true;charset=utf-8",
	none:    "application/json;odata=nometadata;streaming=true;charset=utf-8",
	verbose: "application/json;odata=verbose;charset=utf-8",
	atom:    "application/xml;charset=utf-8",
}

// maxHeader bounds the headers that are looked into.
const maxHeader = 4096

// accepted chooses the format of the answer. Without a wish it is Atom, the
// default of WCF Data Services.
func accepted(h http.Header) (format, error) {
	accept := strings.Join(h.Values("Accept"), ",")
	if strings.TrimSpace(accept) == "" {
		return atom, nil
	}
	best, quality := atom, 0.0
	for item := range strings.SplitSeq(accept[:min(len(accept), maxHeader)], ",") {
		typ, params, err := mime.ParseMediaType(item)
		if err != nil {
			continue
		}
		q := 1.0
		if s, ok := params["q"]; ok {
			if q, err = strconv.ParseFloat(s, 64); err != nil {
				continue
			}
		}
		f, ok := formatOf(typ, params, h)
		if ok && q > quality {
			best, quality = f, q
		}
	}
	if quality == 0 {
		return atom, Errorf(http.StatusUnsupportedMediaType, "Unsupported media type requested.")
	}
	return best, nil
}

func formatOf(typ string, params map[string]string, h http.Header) (format, bool) {
	switch typ {
	case "*/*", "application/*", "application/atom+xml", "application/xml", "text/xml", "application/atomsvc+xml",
		"multipart/mixed", "text/plain", "text/*":
		return atom, true
	case "application/json", "text/json":
		switch strings.ToLower(params["odata"]) {
		case "verbose":
			return verbose, true
		case "fullmetadata":
			return full, true
		case "nometadata":
			return none, true
		case "minimalmetadata", "light":
			return minimal, true
		case "":
			// JSON light came with version 3 of OData: older clients mean the
			// JSON of theirs.
			if v := serviceVersion(h.Get("MaxDataServiceVersion")); v == "1.0" || v == "2.0" {
				return verbose, true
			}
			return minimal, true
		}
	}
	return atom, false
}

var versionText = regexp.MustCompile(`^\s*(\d+\.\d+)\s*(;.*)?$`)

// serviceVersion is the "3.0" of "3.0;NetFx"; empty if it is none.
func serviceVersion(s string) string {
	m := versionText.FindStringSubmatch(s)
	if m == nil {
		return ""
	}
	return m[1]
}

// checkVersions refuses what AMS did: versions of OData that there are not,
// and a missing or unknown x-ms-version.
func checkVersions(c *call) error {
	for _, name := range []string{"DataServiceVersion", "MaxDataServiceVersion"} {
		v := c.header.Get(name)
		if strings.TrimSpace(v) == "" {
			continue
		}
		number := serviceVersion(v)
		switch {
		case number == "":
			return BadRequest("The header '%s' has the value '%s' that cannot be read as a version.", name, clip(v))
		case number == "1.0", number == "2.0", number == "3.0":
		case name == "MaxDataServiceVersion" && number > "3.0":
		default:
			return BadRequest("Request version '%s' is not supported for the request payload. The only supported versions are '1.0', '2.0' and '3.0'.", number)
		}
	}
	if charsets := c.header.Get("Accept-Charset"); !takesUTF8(charsets) {
		return Errorf(http.StatusNotAcceptable, "None of the requested charsets '%s' is supported. Answers are in UTF-8.", clip(charsets))
	}
	v := strings.TrimSpace(c.header.Get("x-ms-version"))
	if v == "" {
		v = c.query.Get("api-version")
	}
	if v == "" {
		if c.metadata() {
			return nil
		}
		return BadRequest("The header 'x-ms-version' is missing.")
	}
	minor, ok := strings.CutPrefix(v, "2.")
	n, err := strconv.Atoi(minor)
	if !ok || err != nil || n < 0 || n > 19 || minor != strconv.Itoa(n) {
		return BadRequest("The version '%s' of the header 'x-ms-version' is not supported. Supported are 2.0 to 2.19.", clip(v))
	}
	return nil
}

// takesUTF8 reports whether a client takes UTF-8: it names no charset, or UTF-8
// or * with a quality that is not 0.
func takesUTF8(accept string) bool {
	if strings.TrimSpace(accept) == "" || len(accept) > maxHeader {
		return true
	}
	any, named := 0.0, -1.0
	for item := range strings.SplitSeq(accept, ",") {
		name, param, _ := strings.Cut(strings.ToLower(strings.ReplaceAll(item, " ", "")), ";")
		q := 1.0
		if text, ok := strings.CutPrefix(param, "q="); ok {
			var err error
			if q, err = strconv.ParseFloat(text, 64); err != nil {
				continue
			}
		}
		switch name {
		case "utf-8":
			named = q
		case "*":
			any = q
		}
	}
	return named > 0 || named < 0 && any > 0
}

// bodyFormat says how to read a body: as JSON or as XML.
func bodyFormat(c *call) (format, error) {
	ct := c.header.Get("Content-Type")
	if strings.TrimSpace(ct) == "" {
		// Clients forget it. A body tells by itself.
		if b := strings.TrimLeft(string(c.body[:min(len(c.body), 64)]), "\ufeff \t\r\n"); strings.HasPrefix(b, "<") {
			return atom, nil
		}
		return minimal, nil
	}
	typ, params, err := mime.ParseMediaType(ct)
	if err != nil && typ == "" {
		return 0, Errorf(http.StatusUnsupportedMediaType, "The content type '%s' cannot be read.", clip(ct))
	}
	if cs := strings.ToLower(params["charset"]); cs != "" && cs != "utf-8" && cs != "us-ascii" && cs != "utf8" {
		return 0, Errorf(http.StatusUnsupportedMediaType, "The charset '%s' is not supported.", clip(cs))
	}
	switch typ {
	case "application/json", "text/json":
		return minimal, nil
	case "application/atom+xml", "application/xml", "text/xml":
		return atom, nil
	}
	return 0, Errorf(http.StatusUnsupportedMediaType, "A supported MIME type could not be found that matches the content type '%s' of the request.", clip(ct))
}
