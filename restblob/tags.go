package restblob

import (
	"encoding/xml"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"unicode/utf8"

	"github.com/openams/openams/ams"
)

// blobTags serves Get Blob Tags.
func (s *server) blobTags(w http.ResponseWriter, q *request) error {
	cond, err := conditions(q.Header)
	if err != nil {
		return err
	}
	b, err := s.Store.Stat(q.Context(), q.account, q.container, q.blob)
	if err != nil {
		return err
	}
	if err := readable(w, q, &cond, b); err != nil {
		return err
	}
	var out xmlWriter
	out.WriteString(xmlHead)
	out.tags(b.Tags)
	return writeXML(w, http.StatusOK, out.Bytes())
}

// setBlobTags serves Set Blob Tags, which changes neither ETag nor
// Last-Modified in Azure; here it does, as every change of a record.
func (s *server) setBlobTags(w http.ResponseWriter, q *request) error {
	text, err := smallBody(w, q, 64<<10)
	if err != nil {
		return err
	}
	var doc struct {
		XMLName xml.Name                      `xml:"Tags"`
		Set     []struct{ Key, Value string } `xml:"TagSet>Tag"`
	}
	if err := xml.Unmarshal(text, &doc); err != nil {
		return invalidXML(err)
	}
	tags := make(map[string]string)
	for _, t := range doc.Set {
		tags[t.Key] = t.Value
	}
	if err := checkTags(tags); err != nil {
		return err
	}
	cond, err := conditions(q.Header)
	if err != nil {
		return err
	}
	_, err = s.Store.UpdateBlob(q.Context(), q.account, q.container, q.blob, cond, func(b *ams.Blob) error {
		b.Tags = tags
		return nil
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// tagsHeader reads x-ms-tags, a form.
func tagsHeader(h http.Header) (map[string]string, error) {
	v := h.Get("x-ms-tags")
	if v == "" {
		return nil, nil
	}
	form, err := url.ParseQuery(v)
	if err != nil {
		return nil, bad("InvalidHeaderValue", "The value of the header x-ms-tags is not a list of key=value.")
	}
	tags := make(map[string]string)
	for key, values := range form {
		tags[key] = values[0]
	}
	return tags, checkTags(tags)
}

// checkTags holds tags to what Azure takes (documented: Set Blob Tags).
func checkTags(tags map[string]string) error {
	if len(tags) > 10 {
		return bad("TagsTooLarge", "A blob has at most 10 tags.")
	}
	for key, value := range tags {
		if n := utf8.RuneCountInString(key); n == 0 || n > 128 || utf8.RuneCountInString(value) > 256 || !tagText(key) || !tagText(value) {
			return bad("InvalidTag", "A tag has a key of 1 to 128 and a value of up to 256 characters: letters, digits, space and + - . / : = _")
		}
	}
	return nil
}

func tagText(s string) bool {
	for _, c := range s {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == ' ', c == '+', c == '-', c == '.', c == '/', c == ':', c == '=', c == '_':
		default:
			return false
		}
	}
	return true
}

func (b *xmlWriter) tags(tags map[string]string) {
	b.WriteString("<Tags><TagSet>")
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		b.WriteString("<Tag>")
		b.element("Key", key)
		b.element("Value", tags[key])
		b.WriteString("</Tag>")
	}
	b.WriteString("</TagSet></Tags>")
}
