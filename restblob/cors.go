package restblob

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/sas"
)

// serviceProperties serves Get Blob Service Properties: nothing is logged,
// measured or kept after deletion.
func (s *server) serviceProperties(w http.ResponseWriter, q *request) error {
	p, err := s.Store.Properties(q.Context(), q.account)
	if err != nil {
		return err
	}
	const off = "<Version>1.0</Version><Enabled>false</Enabled><RetentionPolicy><Enabled>false</Enabled></RetentionPolicy>"
	var b xmlWriter
	b.WriteString(xmlHead + "<StorageServiceProperties>" +
		"<Logging><Version>1.0</Version><Delete>false</Delete><Read>false</Read><Write>false</Write>" +
		"<RetentionPolicy><Enabled>false</Enabled></RetentionPolicy></Logging>" +
		"<HourMetrics>" + off + "</HourMetrics><MinuteMetrics>" + off + "</MinuteMetrics><Cors>")
	for _, r := range p.CORS {
		b.WriteString("<CorsRule>")
		b.element("AllowedMethods", r.AllowedMethods)
		b.element("AllowedOrigins", r.AllowedOrigins)
		b.element("AllowedHeaders", r.AllowedHeaders)
		b.element("ExposedHeaders", r.ExposedHeaders)
		b.element("MaxAgeInSeconds", strconv.Itoa(r.MaxAgeInSeconds))
		b.WriteString("</CorsRule>")
	}
	b.WriteString("</Cors>")
	b.given("DefaultServiceVersion", p.DefaultVersion)
	b.WriteString("<DeleteRetentionPolicy><Enabled>false</Enabled></DeleteRetentionPolicy>" +
		"<StaticWebsite><Enabled>false</Enabled></StaticWebsite></StorageServiceProperties>")
	return writeXML(w, http.StatusOK, b.Bytes())
}

// setServiceProperties serves Set Blob Service Properties. What is not said
// stays; logging, metrics and retention are accepted and not kept.
func (s *server) setServiceProperties(w http.ResponseWriter, q *request) error {
	text, err := smallBody(w, q, 256<<10)
	if err != nil {
		return err
	}
	var doc struct {
		XMLName xml.Name `xml:"StorageServiceProperties"`
		Cors    *struct {
			Rules []ams.CORSRule `xml:"CorsRule"`
		}
		DefaultServiceVersion *string
	}
	if err := xml.Unmarshal(text, &doc); err != nil {
		return invalidXML(err)
	}
	if doc.Cors != nil {
		if err := checkRules(doc.Cors.Rules); err != nil {
			return err
		}
	}
	if v := doc.DefaultServiceVersion; v != nil && *v != "" && !sas.ValidVersion(*v) {
		return bad("InvalidXmlNodeValue", "DefaultServiceVersion is not a date of the form YYYY-MM-DD.")
	}
	err = s.Store.UpdateProperties(q.Context(), q.account, func(p *ams.StorageProperties) error {
		if doc.Cors != nil {
			p.CORS = doc.Cors.Rules
		}
		if doc.DefaultServiceVersion != nil {
			p.DefaultVersion = *doc.DefaultServiceVersion
		}
		return nil
	})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusAccepted)
	return nil
}

var corsMethods = []string{"DELETE", "GET", "HEAD", "MERGE", "POST", "OPTIONS", "PUT", "PATCH"}

func checkRules(rules []ams.CORSRule) error {
	if len(rules) > 5 {
		return bad("InvalidXmlDocument", "There are at most five CORS rules.")
	}
	for _, r := range rules {
		if r.AllowedOrigins == "" || r.AllowedMethods == "" || r.MaxAgeInSeconds < 0 {
			return bad("InvalidXmlNodeValue", "A CORS rule has AllowedOrigins, AllowedMethods and a MaxAgeInSeconds that is not negative.")
		}
		for m := range fields(r.AllowedMethods) {
			if !slices.Contains(corsMethods, m) {
				return bad("InvalidXmlNodeValue", "'%s' is not a method of a CORS rule.", m)
			}
		}
	}
	return nil
}

// fields are the parts of a list separated by commas.
func fields(list string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for f := range strings.SplitSeq(list, ",") {
			if f = strings.TrimSpace(f); f != "" && !yield(f) {
				return
			}
		}
	}
}

// ownRule is for web pages that belong to the server.
func (s *server) ownRule() ams.CORSRule {
	return ams.CORSRule{AllowedOrigins: strings.Join(s.Origins, ","), AllowedMethods: "DELETE,GET,HEAD,POST,PUT",
		AllowedHeaders: "*", ExposedHeaders: "*", MaxAgeInSeconds: 3600}
}

// rule finds the first rule for a page of origin that wants to use method with
// headers. Origins compare with case (documented: CORS support).
func (s *server) rule(q *request, origin, method, headers string) (*ams.CORSRule, error) {
	p, err := s.Store.Properties(q.Context(), q.account)
	if err != nil {
		return nil, err
	}
	for _, r := range append([]ams.CORSRule{s.ownRule()}, p.CORS...) {
		if listed(r.AllowedOrigins, origin) && listed(r.AllowedMethods, method) && allListed(r.AllowedHeaders, headers) {
			return &r, nil
		}
	}
	return nil, nil
}

func listed(list, item string) bool {
	for f := range fields(list) {
		if f == item || f == "*" {
			return true
		}
	}
	return false
}

// headerListed compares without case; "x-ms-*" stands for all that start so.
func headerListed(list, name string) bool {
	for f := range fields(list) {
		prefix, open := strings.CutSuffix(f, "*")
		if strings.EqualFold(f, name) || open && len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}

func allListed(list, names string) bool {
	for name := range fields(names) {
		if !headerListed(list, name) {
			return false
		}
	}
	return true
}

// preflight serves a browser's question whether a page may make a request.
func (s *server) preflight(w http.ResponseWriter, q *request) error {
	origin, method := q.Header.Get("Origin"), q.Header.Get("Access-Control-Request-Method")
	if origin == "" || method == "" {
		return bad("InvalidHeaderValue", "A preflight request has Origin and Access-Control-Request-Method.")
	}
	headers := q.Header.Get("Access-Control-Request-Headers")
	r, err := s.rule(q, origin, method, headers)
	if err != nil {
		return err
	}
	if r == nil {
		return forbidden("CorsPreflightFailure", "CORS not enabled or no matching rule found for this request.")
	}
	h := w.Header()
	allowOrigin(h, r, origin)
	h.Set("Access-Control-Allow-Methods", method)
	if headers != "" {
		h.Set("Access-Control-Allow-Headers", headers)
	}
	h.Set("Access-Control-Max-Age", strconv.Itoa(r.MaxAgeInSeconds))
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
	return nil
}

func allowOrigin(h http.Header, r *ams.CORSRule, origin string) {
	if strings.TrimSpace(r.AllowedOrigins) == "*" {
		h.Set("Access-Control-Allow-Origin", "*")
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Add("Vary", "Origin")
}

// shareWith lets the page that makes the request read its answer.
func (s *server) shareWith(w *response, q *request) error {
	origin := q.Header.Get("Origin")
	if origin == "" {
		return nil
	}
	r, err := s.rule(q, origin, q.Method, "")
	if err != nil {
		return err
	}
	if r == nil {
		w.Header().Add("Vary", "Origin")
		return nil
	}
	allowOrigin(w.Header(), r, origin)
	w.exposed = r.ExposedHeaders
	return nil
}

// expose names the headers of an answer that a page may read. Browsers know
// no prefixes, so each is named.
func expose(h http.Header, list string) {
	var names []string
	for name := range h {
		if headerListed(list, name) && !strings.HasPrefix(name, "Access-Control-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(names) > 0 {
		h.Set("Access-Control-Expose-Headers", strings.Join(names, ","))
	}
}
