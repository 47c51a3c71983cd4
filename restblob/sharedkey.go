package restblob

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/openams/openams/sas"
)

// checkSharedKey verifies "account:signature" made with one of the keys.
func (s *server) checkSharedKey(q *request, keys [2][]byte, scheme, credentials string) error {
	account, signature, ok := strings.Cut(credentials, ":")
	if !ok {
		return bad("InvalidAuthenticationInfo", "Authentication information is not given in the correct format. Check the value of Authorization header.")
	}
	if account != q.account {
		return unauthenticated("The Authorization header is for another storage account.")
	}
	date := q.Header.Get("x-ms-date")
	if date == "" {
		date = q.Header.Get("Date")
	}
	at, err := http.ParseTime(date)
	if err != nil || at.Sub(q.now).Abs() > skew {
		return unauthenticated("Request date header is missing or not within 15 minutes of the server's time, " + q.now.UTC().Format(time.RFC1123) + ".")
	}
	texts := sharedKeyTexts(q.Request, q.account, q.path, q.query, q.version)
	if scheme == "SharedKeyLite" {
		texts = liteTexts(q.Request, q.account, q.path, q.query)
	}
	good := false
	for _, key := range keys {
		for _, text := range texts {
			good = len(key) > 0 && sas.SameMAC(signature, sas.MAC(key, text)) || good
		}
	}
	if !good {
		return unauthenticated("The MAC signature found in the HTTP request is not the same as any computed signature.")
	}
	return nil
}

// sharedKeyTexts lists the strings that a client may have signed for r: the
// documented one, and those of clients that sort or fold headers their way.
func sharedKeyTexts(r *http.Request, account, path string, query url.Values, version string) []string {
	length := r.Header.Get("Content-Length")
	if length == "0" && version >= "2015-02-21" {
		length = ""
	}
	date := r.Header.Get("Date")
	if r.Header.Get("x-ms-date") != "" {
		date = ""
	}
	h := r.Header.Get
	head := strings.Join([]string{
		r.Method, h("Content-Encoding"), h("Content-Language"), length, h("Content-MD5"), h("Content-Type"), date,
		h("If-Modified-Since"), h("If-Match"), h("If-None-Match"), h("If-Unmodified-Since"), h("Range"),
	}, "\n") + "\n"
	tail := "/" + account + path + canonicalQuery(query)
	var texts []string
	for _, headers := range canonicalHeaders(r.Header) {
		texts = append(texts, head+headers+tail)
	}
	return texts
}

// liteTexts is sharedKeyTexts for SharedKeyLite.
func liteTexts(r *http.Request, account, path string, query url.Values) []string {
	date := r.Header.Get("Date")
	if r.Header.Get("x-ms-date") != "" {
		date = ""
	}
	head := strings.Join([]string{r.Method, r.Header.Get("Content-MD5"), r.Header.Get("Content-Type"), date}, "\n") + "\n"
	tail := "/" + account + path
	if comp := query.Get("comp"); comp != "" {
		tail += "?comp=" + comp
	}
	var texts []string
	for _, headers := range canonicalHeaders(r.Header) {
		texts = append(texts, head+headers+tail)
	}
	return texts
}

// canonicalHeaders writes the x-ms- headers in each order and spelling in use.
func canonicalHeaders(h http.Header) []string {
	values := make(map[string]string)
	var names []string
	for name, v := range h {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-ms-") {
			names = append(names, name)
			values[name] = strings.TrimSpace(strings.Join(v, ","))
		}
	}
	write := func(fold bool) string {
		var b strings.Builder
		for _, name := range names {
			v := values[name]
			if fold {
				v = strings.Join(strings.Fields(v), " ")
			}
			b.WriteString(name + ":" + v + "\n")
		}
		return b.String()
	}
	slices.Sort(names)
	texts := []string{write(false), write(true)}
	// JavaScript and Go clients sort as .NET's invariant culture does: hyphens
	// do not count at first, and "_" comes before digits.
	slices.SortFunc(names, func(a, b string) int {
		if c := strings.Compare(cultureKey(a), cultureKey(b)); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	texts = append(texts, write(false))
	slices.Sort(texts)
	return slices.Compact(texts)
}

func cultureKey(name string) string {
	return strings.NewReplacer("-", "", "_", "!").Replace(name)
}

// canonicalQuery writes each parameter on its line, values of one name sorted.
func canonicalQuery(query url.Values) string {
	merged := make(map[string][]string)
	for name, v := range query {
		name = strings.ToLower(name)
		merged[name] = append(merged[name], v...)
	}
	names := make([]string, 0, len(merged))
	for name := range merged {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		v := merged[name]
		slices.Sort(v)
		b.WriteString("\n" + name + ":" + strings.Join(v, ","))
	}
	return b.String()
}
