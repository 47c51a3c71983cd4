package restblob

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
)

// listOptions reads the query of a list.
func listOptions(q *request) (o blob.ListOptions, include []string, err error) {
	o.Prefix = q.query.Get("prefix")
	o.Delimiter = q.query.Get("delimiter")
	if m := q.query.Get("marker"); m != "" {
		// Opaque, and safe in XML and URLs whatever the name is.
		name, err := base64.RawURLEncoding.DecodeString(m)
		if err != nil {
			return o, nil, bad("OutOfRangeQueryParameterValue", "The marker was not made by a list of this server.")
		}
		o.Marker = string(name)
	}
	if n := q.query.Get("maxresults"); n != "" {
		v, err := strconv.ParseInt(n, 10, 64)
		if err != nil || v < 1 {
			return o, nil, &fault{status: http.StatusBadRequest, code: "OutOfRangeQueryParameterValue",
				msg: "One of the query parameters specified in the request URI is outside the permissible range: maxresults must be at least 1."}
		}
		o.Limit = int(min(v, blob.MaxPage))
	}
	for _, v := range q.query["include"] {
		include = append(include, strings.Split(strings.ToLower(v), ",")...)
	}
	for _, v := range include {
		if !slices.Contains(includes, v) {
			return o, nil, bad("InvalidQueryParameterValue", "include names something that lists do not have: '%s'.", v)
		}
	}
	o.Snapshots = slices.Contains(include, "snapshots")
	if o.Snapshots && o.Delimiter != "" {
		return o, nil, bad("InvalidQueryParameterValue", "Snapshots are listed without a delimiter.")
	}
	o.Uncommitted = slices.Contains(include, "uncommittedblobs")
	return o, include, nil
}

// includes are the words of Azure for what a list may tell besides; of those
// that openams does not keep, nothing is told.
var includes = []string{"", "copy", "deleted", "deletedwithversions", "immutabilitypolicy", "legalhold", "metadata", "permissions",
	"snapshots", "system", "tags", "uncommittedblobs", "versions"}

// listHead writes what every list starts with.
func (b *xmlWriter) listHead(q *request, o blob.ListOptions) {
	b.WriteString(xmlHead + `<EnumerationResults ServiceEndpoint="`)
	b.text(q.base())
	if q.container != "" {
		b.WriteString(`" ContainerName="`)
		b.text(q.container)
	}
	b.WriteString(`">`)
	b.given("Prefix", o.Prefix)
	b.given("Marker", q.query.Get("marker"))
	b.given("MaxResults", q.query.Get("maxresults"))
	b.given("Delimiter", o.Delimiter)
}

func (b *xmlWriter) listTail(next string) {
	b.element("NextMarker", base64.RawURLEncoding.EncodeToString([]byte(next)))
	b.WriteString("</EnumerationResults>")
}

// listContainers serves List Containers.
func (s *server) listContainers(w http.ResponseWriter, q *request) error {
	o, include, err := listOptions(q)
	if err != nil {
		return err
	}
	page, err := s.Store.Containers(q.Context(), q.account, o)
	if err != nil {
		return err
	}
	var b xmlWriter
	b.listHead(q, o)
	b.WriteString("<Containers>")
	for _, c := range page.Containers {
		b.WriteString("<Container>")
		b.element("Name", c.Name)
		b.WriteString("<Properties>")
		b.element("Last-Modified", httpTime(c.LastModified))
		b.element("Etag", quoted(c.ETag))
		b.lease(&c.Lease, q.now)
		b.given("PublicAccess", c.PublicAccess)
		b.WriteString("<DefaultEncryptionScope>$account-encryption-key</DefaultEncryptionScope><DenyEncryptionScopeOverride>false</DenyEncryptionScopeOverride>" +
			"<HasImmutabilityPolicy>false</HasImmutabilityPolicy><HasLegalHold>false</HasLegalHold></Properties>")
		if slices.Contains(include, "metadata") {
			b.metadata(c.Metadata)
		}
		b.WriteString("</Container>")
	}
	b.WriteString("</Containers>")
	b.listTail(page.Next)
	return writeXML(w, http.StatusOK, b.Bytes())
}

// listBlobs serves List Blobs.
func (s *server) listBlobs(w http.ResponseWriter, q *request) error {
	o, include, err := listOptions(q)
	if err != nil {
		return err
	}
	page, err := s.Store.List(q.Context(), q.account, q.container, o)
	if err != nil {
		return err
	}
	var b xmlWriter
	b.listHead(q, o)
	b.WriteString("<Blobs>")
	prefixes := page.Prefixes
	for _, v := range page.Blobs {
		for len(prefixes) > 0 && prefixes[0] < v.Name {
			b.prefix(prefixes[0])
			prefixes = prefixes[1:]
		}
		b.blob(v, include, q.now)
	}
	for _, p := range prefixes {
		b.prefix(p)
	}
	b.WriteString("</Blobs>")
	b.listTail(page.Next)
	return writeXML(w, http.StatusOK, b.Bytes())
}

func (b *xmlWriter) prefix(name string) {
	b.WriteString("<BlobPrefix>")
	b.blobName(name)
	b.WriteString("</BlobPrefix>")
}

func (b *xmlWriter) blob(v *ams.Blob, include []string, now time.Time) {
	b.WriteString("<Blob>")
	b.blobName(v.Name)
	b.given("Snapshot", v.Snapshot)
	b.WriteString("<Properties>")
	if v.ETag != "" { // a blob of staged blocks alone has none
		b.element("Creation-Time", httpTime(v.Created))
		b.element("Last-Modified", httpTime(v.LastModified))
		b.element("Etag", v.ETag)
	}
	b.element("Content-Length", strconv.FormatInt(v.Size, 10))
	b.element("Content-Type", contentType(v))
	b.element("Content-Encoding", v.Headers.ContentEncoding)
	b.element("Content-Language", v.Headers.ContentLanguage)
	b.WriteString("<Content-CRC64/>")
	b.element("Content-MD5", base64.StdEncoding.EncodeToString(v.Headers.ContentMD5))
	b.element("Cache-Control", v.Headers.CacheControl)
	b.element("Content-Disposition", v.Headers.ContentDisposition)
	b.WriteString("<BlobType>BlockBlob</BlobType>")
	b.element("AccessTier", tier(v))
	if v.Tier == "" {
		b.WriteString("<AccessTierInferred>true</AccessTierInferred>")
	}
	if v.Snapshot == "" {
		b.lease(&v.Lease, now)
	}
	if slices.Contains(include, "copy") {
		b.copied(v.Copy)
	}
	if len(v.Tags) > 0 {
		b.element("TagCount", strconv.Itoa(len(v.Tags)))
	}
	b.WriteString("<ServerEncrypted>true</ServerEncrypted></Properties>")
	if slices.Contains(include, "metadata") {
		b.metadata(v.Metadata)
	}
	if slices.Contains(include, "tags") && len(v.Tags) > 0 {
		b.tags(v.Tags)
	}
	b.WriteString("</Blob>")
}
