package restblob

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"hash/crc64"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
)

// putBlock serves Put Block.
func (s *server) putBlock(w http.ResponseWriter, q *request) error {
	r, o, err := body(w, q, maxBlock)
	if err != nil {
		return err
	}
	if q.ContentLength == 0 {
		return bad("InvalidHeaderValue", "The value for one of the HTTP headers is not in the correct format: a block of no bytes, Content-Length is 0.")
	}
	if o.If, err = leaseCondition(q.Header); err != nil {
		return err
	}
	return s.stageBlock(w, q, r, o)
}

func (s *server) stageBlock(w http.ResponseWriter, q *request, r io.Reader, o blob.PutOptions) error {
	// A base64 "+" that a client did not escape arrives as a space.
	id := strings.ReplaceAll(q.query.Get("blockid"), " ", "+")
	k, err := s.Store.StageBlock(q.Context(), q.account, q.container, q.blob, id, r, o)
	if err != nil {
		return err
	}
	h := w.Header()
	setMD5(h, "Content-MD5", o.MD5)
	h.Set("x-ms-content-crc64", crcText(k.CRC64))
	h.Set("x-ms-request-server-encrypted", "true")
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusCreated)
	return nil
}

// maxBlockList holds 50,000 of the longest ids with room to spare.
const maxBlockList = 10 << 20

// putBlockList serves Put Block List.
func (s *server) putBlockList(w http.ResponseWriter, q *request) error {
	var o blob.PutOptions
	if err := describe(q, &o, false); err != nil {
		return err
	}
	text, err := smallBody(w, q, maxBlockList)
	if err != nil {
		return err
	}
	list, err := parseBlockList(text)
	if err != nil {
		return err
	}
	b, err := s.Store.CommitBlocks(q.Context(), q.account, q.container, q.blob, list, o)
	if err != nil {
		return writing(q, err)
	}
	w.Header().Set("x-ms-content-crc64", crcText(crc64.Checksum(text, blob.NewCRC())))
	return written(w, b, http.StatusCreated)
}

// smallBody reads a document and verifies the sums sent with it.
func smallBody(w http.ResponseWriter, q *request, limit int64) ([]byte, error) {
	r, o, err := body(w, q, limit)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	if sum := md5.Sum(text); o.MD5 != nil && !bytes.Equal(o.MD5, sum[:]) {
		return nil, blob.ErrMD5
	}
	if o.CRC64 != nil && *o.CRC64 != crc64.Checksum(text, blob.NewCRC()) {
		return nil, blob.ErrCRC64
	}
	return text, nil
}

// parseBlockList reads <BlockList> with its entries in order.
func parseBlockList(text []byte) ([]blob.BlockRef, error) {
	d := xml.NewDecoder(bytes.NewReader(text))
	d.CharsetReader = func(charset string, r io.Reader) (io.Reader, error) {
		return r, nil // ids are ASCII in every charset in use
	}
	var list []blob.BlockRef
	depth, ended := 0, false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && ended {
			return list, nil
		}
		if err != nil {
			return nil, invalidXML(err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth == 0 {
				if t.Name.Local != "BlockList" || ended {
					return nil, bad("InvalidXmlNodeValue", "The XML is not a BlockList.")
				}
				depth++
				continue
			}
			from, ok := map[string]blob.BlockSource{"Latest": blob.Latest, "Committed": blob.Committed, "Uncommitted": blob.Uncommitted}[t.Name.Local]
			if !ok {
				return nil, bad("InvalidXmlDocument", "A BlockList holds Latest, Committed and Uncommitted elements only.")
			}
			var id string
			if err := d.DecodeElement(&id, &t); err != nil {
				return nil, invalidXML(err)
			}
			if len(list) == blob.MaxBlocks {
				return nil, &fault{status: http.StatusBadRequest, code: "BlockListTooLong", msg: "The block list may not contain more than 50,000 blocks."}
			}
			id = strings.TrimSpace(id)
			if raw, err := base64.StdEncoding.DecodeString(id); err != nil || len(raw) == 0 || len(raw) > 64 {
				return nil, blob.ErrBlockList
			}
			list = append(list, blob.BlockRef{ID: id, From: from})
		case xml.EndElement:
			depth--
			ended = depth == 0
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return nil, invalidXML(nil)
			}
		}
	}
}

// blockList serves Get Block List.
func (s *server) blockList(w http.ResponseWriter, q *request) error {
	which := strings.ToLower(q.query.Get("blocklisttype"))
	if which == "" {
		which = "committed"
	}
	if which != "committed" && which != "uncommitted" && which != "all" {
		return bad("InvalidQueryParameterValue", "blocklisttype is not one of committed, uncommitted, all.")
	}
	b, staged, err := s.Store.Blocks(q.Context(), q.account, q.container, q.blob)
	if err != nil {
		return err
	}
	var out xmlWriter
	out.WriteString(xmlHead + "<BlockList>")
	if which != "uncommitted" {
		out.WriteString("<CommittedBlocks>")
		if b != nil {
			out.blocks(b.Blocks)
		}
		out.WriteString("</CommittedBlocks>")
	}
	if which != "committed" {
		out.WriteString("<UncommittedBlocks>")
		out.blocks(staged)
		out.WriteString("</UncommittedBlocks>")
	}
	out.WriteString("</BlockList>")
	size := int64(0)
	if b != nil {
		size = b.Size
		setVersion(w.Header(), b.ETag, b.LastModified)
	}
	w.Header().Set("x-ms-blob-content-length", strconv.FormatInt(size, 10))
	return writeXML(w, http.StatusOK, out.Bytes())
}

func (b *xmlWriter) blocks(list []ams.Block) {
	for _, k := range list {
		b.WriteString("<Block>")
		b.element("Name", k.ID)
		b.element("Size", strconv.FormatInt(k.Size, 10))
		b.WriteString("</Block>")
	}
}
