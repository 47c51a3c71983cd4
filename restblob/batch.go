package restblob

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"

	"github.com/openams/openams/blob"
)

// Limits of a batch (documented).
const (
	maxBatch      = 256
	maxBatchBytes = 4 << 20
)

// batch serves Blob Batch: requests to delete blobs or to set their tier, as
// parts of one. Each part shows its own signature and has its own answer; the
// batch is refused as a whole only if it is not well formed.
func (s *server) batch(w http.ResponseWriter, q *request) error {
	kind, params, err := mime.ParseMediaType(q.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/mixed" || params["boundary"] == "" {
		return bad("InvalidHeaderValue", "The value of the header Content-Type is not multipart/mixed with a boundary.")
	}
	text, err := smallBody(w, q, maxBatchBytes)
	if err != nil {
		return err
	}
	parts, err := parseBatch(text, params["boundary"])
	if err != nil {
		return err
	}
	boundary := "batchresponse_" + blob.NewGUID()
	var b bytes.Buffer
	for _, p := range parts {
		fmt.Fprintf(&b, "--%s\r\nContent-Type: application/http\r\n", boundary)
		if p.id != "" {
			fmt.Fprintf(&b, "Content-ID: %s\r\n", p.id)
		}
		b.WriteString("\r\n")
		s.servePart(&b, q, p.request)
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	w.Header().Set("Content-Type", "multipart/mixed; boundary="+boundary)
	w.Header().Set("Content-Length", fmt.Sprint(b.Len()))
	w.WriteHeader(http.StatusAccepted)
	_, err = w.Write(b.Bytes())
	return err
}

// A batchPart is one request of a batch.
type batchPart struct {
	id      string // Content-ID, as sent
	request *http.Request
}

func parseBatch(text []byte, boundary string) (list []batchPart, err error) {
	malformed := func(what string) error {
		return bad("InvalidInput", "The batch is not well formed: %s.", what)
	}
	for r := multipart.NewReader(bytes.NewReader(text), boundary); ; {
		part, err := r.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, malformed("a part has no end")
		}
		if len(list) == maxBatch {
			return nil, bad("ExceedsMaxBatchRequestCount", "The batch has more than %d requests.", maxBatch)
		}
		if kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type")); kind != "application/http" {
			return nil, malformed("a part is not application/http")
		}
		id := part.Header.Get("Content-ID")
		if len(id) > 256 {
			return nil, malformed("a Content-ID is long")
		}
		// The end of a part may be all that ends its headers.
		sub, err := http.ReadRequest(bufio.NewReader(io.MultiReader(part, strings.NewReader("\r\n\r\n"))))
		if err != nil {
			return nil, malformed("a part is no request")
		}
		sub.Body.Close()
		sub.Body = http.NoBody
		list = append(list, batchPart{id, sub})
	}
	if len(list) == 0 {
		return nil, malformed("it has no requests")
	}
	return list, nil
}

// servePart writes the answer to one request of the batch q.
func (s *server) servePart(b *bytes.Buffer, q *request, r *http.Request) {
	out := &partResponse{header: http.Header{}}
	id := blob.NewGUID()
	out.header.Set("x-ms-request-id", id)
	if client := r.Header.Get("x-ms-client-request-id"); client != "" && len(client) <= 1024 {
		out.header.Set("x-ms-client-request-id", client)
	}
	r = r.WithContext(q.Context())
	r.Host, r.RemoteAddr, r.TLS = q.Host, q.RemoteAddr, q.TLS
	comp := r.URL.Query().Get("comp")
	at, err := parseTarget(r)
	switch {
	case err != nil:
	case at.blob == "", !(r.Method == http.MethodDelete && comp == "" || r.Method == http.MethodPut && comp == "tier"):
		err = bad("InvalidInput", "A batch deletes blobs or sets their tier.")
	case q.container != "" && at.container != q.container:
		err = bad("InvalidInput", "The batch is for another container.")
	default:
		err = s.serve(&response{ResponseWriter: out}, r, q)
	}
	if err != nil {
		writeFault(out, r, s.fault(r, id, err), id, s.Now())
	}
	fmt.Fprintf(b, "HTTP/1.1 %d %s\r\n", out.status, http.StatusText(out.status))
	for _, name := range slices.Sorted(maps.Keys(out.header)) {
		said := name
		if strings.HasPrefix(name, "X-Ms-") {
			said = strings.ToLower(name) // the JavaScript SDK knows x-ms-error-code alone
		}
		for _, v := range out.header[name] {
			fmt.Fprintf(b, "%s: %s\r\n", said, strings.NewReplacer("\r", " ", "\n", " ").Replace(v))
		}
	}
	b.WriteString("\r\n")
	b.Write(out.body.Bytes())
	b.WriteString("\r\n")
}

// A partResponse is the answer to one request of a batch.
type partResponse struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (p *partResponse) Header() http.Header         { return p.header }
func (p *partResponse) WriteHeader(status int)      { p.status = status }
func (p *partResponse) Write(b []byte) (int, error) { return p.body.Write(b) }
