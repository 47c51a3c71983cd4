package keydelivery

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
)

// maxKIDs bounds the keys of one licence.
const maxKIDs = 32

// clearKey answers with a licence of W3C ClearKey (Encrypted Media Extensions,
// 9.1.4).
func (h *Handler) clearKey(w http.ResponseWriter, q *request) error {
	if q.Method != http.MethodPost {
		w.Header().Set("Allow", "POST, OPTIONS")
		return refuse(http.StatusMethodNotAllowed, "Licences are asked for by POST.")
	}
	kids, err := clearKeyIDs(q.body)
	if err != nil {
		return err
	}
	if len(kids) == 0 && q.kid != "" {
		kids = []string{q.kid}
	}
	if len(kids) == 0 {
		return refuse(http.StatusBadRequest, "The licence request names no key.")
	}
	type key struct {
		Type  string `json:"kty"`
		ID    string `json:"kid"`
		Value string `json:"k"`
	}
	var licence struct {
		Keys []key  `json:"keys"`
		Type string `json:"type"`
	}
	licence.Type = "temporary"
	var no error
	for _, kid := range kids {
		g, err := h.allow(q, kid, ams.ClearKeyConfiguration)
		if err != nil {
			if _, ok := errors.AsType[*refusal](err); !ok {
				return err
			}
			if no == nil {
				no = err
			}
			continue // the player may have use for the others
		}
		id := uuid.MustParse(g.id)
		licence.Keys = append(licence.Keys, key{"oct", base64.RawURLEncoding.EncodeToString(id[:]), base64.RawURLEncoding.EncodeToString(g.value)})
	}
	if len(licence.Keys) == 0 {
		return no
	}
	if no != nil {
		q.record.Message = no.Error()
	}
	body, err := json.Marshal(licence)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
	return nil
}

// clearKeyIDs reads the key ids of a licence request; none of an empty body.
func clearKeyIDs(body []byte) ([]string, error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, nil
	}
	var ask struct {
		KIDs []string `json:"kids"`
		Type string   `json:"type"`
	}
	if json.Unmarshal(body, &ask) != nil {
		return nil, refuse(http.StatusBadRequest, "The licence request is not that of W3C ClearKey: {\"kids\":[\"…\"],\"type\":\"temporary\"}.")
	}
	if len(ask.KIDs) > maxKIDs {
		return nil, refuse(http.StatusBadRequest, "The licence request names more than %d keys.", maxKIDs)
	}
	var kids []string
	for _, s := range ask.KIDs {
		b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
		if err != nil || len(b) != 16 {
			return nil, refuse(http.StatusBadRequest, "A key id of the licence request is not 16 bytes in base64url.")
		}
		if id := uuid.UUID(b).String(); !slices.Contains(kids, id) {
			kids = append(kids, id)
		}
	}
	return kids, nil
}

// playReady forwards a challenge for keys that it names itself.
func (h *Handler) playReady(w http.ResponseWriter, q *request) error {
	kids, err := playReadyIDs(q.body)
	if err != nil {
		return err
	}
	if len(kids) == 0 {
		if q.kid == "" {
			return refuse(http.StatusBadRequest, "Neither the PlayReady challenge nor the URL names a key.")
		}
		kids = []string{q.kid}
	}
	return h.forward(w, q, kids, ams.PlayReadyConfiguration, h.c.PlayReady, "playready")
}

func (h *Handler) widevine(w http.ResponseWriter, q *request) error {
	return h.forward(w, q, []string{q.kid}, ams.WidevineConfiguration, h.c.Widevine, "widevine")
}

func (h *Handler) fairPlay(w http.ResponseWriter, q *request) error {
	return h.forward(w, q, []string{q.kid}, ams.FairPlayConfiguration, h.c.FairPlay, "fairplay")
}

// playReadyIDs finds the key ids in a challenge: the KID elements of its header,
// in the byte order of Windows.
func playReadyIDs(body []byte) ([]string, error) {
	d := xml.NewDecoder(bytes.NewReader(body))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	var kids []string
	add := func(s string) error {
		b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(s))
		if err != nil || len(b) != 16 {
			return refuse(http.StatusBadRequest, "A key id of the PlayReady challenge is not 16 bytes in base64.")
		}
		b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7] = b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6]
		if id := uuid.UUID(b).String(); !slices.Contains(kids, id) {
			kids = append(kids, id)
		}
		if len(kids) > maxKIDs {
			return refuse(http.StatusBadRequest, "The PlayReady challenge names more than %d keys.", maxKIDs)
		}
		return nil
	}
	inside := false
	var text strings.Builder
	for {
		token, err := d.Token()
		if err == io.EOF {
			return kids, nil
		}
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "The PlayReady challenge is not XML.")
		}
		switch e := token.(type) {
		case xml.StartElement:
			if !strings.EqualFold(e.Name.Local, "KID") {
				continue
			}
			inside = true
			text.Reset()
			for _, a := range e.Attr {
				if strings.EqualFold(a.Name.Local, "VALUE") {
					if err := add(a.Value); err != nil {
						return nil, err
					}
				}
			}
		case xml.CharData:
			if inside {
				text.Write(e)
			}
		case xml.EndElement:
			if inside && strings.EqualFold(e.Name.Local, "KID") {
				inside = false
				if strings.TrimSpace(text.String()) == "" {
					continue
				}
				if err := add(text.String()); err != nil {
					return nil, err
				}
			}
		}
	}
}

// A LicenceServer makes the licences of a DRM system. In URL and the values of
// Header {ContentKeyId} stands for the id of the (first) key that the client may
// have; in Header alone {ContentKeyIds} for all of them, {ContentKey} and
// {Configuration} for the key and the option's configuration, which is JSON,
// both in base64.
type LicenceServer struct {
	URL    string
	Header map[string]string
}

// maxLicence bounds the answer of a licence server.
const maxLicence = 1 << 20

// forward sends the request on to a licence server, once the client may have all
// of the keys.
func (h *Handler) forward(w http.ResponseWriter, q *request, kids []string, kind string, server LicenceServer, setting string) error {
	if kids[0] == "" {
		return refuse(http.StatusBadRequest, "The URL names no key: ?kid={guid} is missing.")
	}
	var keys []*granted
	for _, kid := range kids {
		g, err := h.allow(q, kid, kind)
		if err != nil {
			return err
		}
		keys = append(keys, g)
	}
	if server.URL == "" {
		return refuse(http.StatusNotImplemented, "This server makes no %s licences itself, and no licence server is configured: the setting is %s-license-url.", q.record.KeyType, setting)
	}
	target := ams.ExpandTemplate(server.URL, keys[0].id, "")
	up, err := http.NewRequestWithContext(q.Context(), http.MethodPost, target, bytes.NewReader(q.body))
	if err != nil {
		return err
	}
	// What the protocols say in headers, but not who the client is.
	for _, name := range []string{"Content-Type", "SOAPAction", "Accept", "User-Agent"} {
		if v := q.Header.Get(name); v != "" {
			up.Header.Set(name, v)
		}
	}
	encode := base64.StdEncoding.EncodeToString
	fill := strings.NewReplacer("{ContentKeyId}", keys[0].id, "{ContentKeyIds}", strings.Join(kids, ","),
		"{ContentKey}", encode(keys[0].value), "{Configuration}", encode(keys[0].option.Configuration))
	for name, value := range server.Header {
		up.Header.Set(name, fill.Replace(value))
	}
	res, err := h.c.Client.Do(up)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // without the URL, which may hold a secret
		}
		h.c.Log.Warn("keydelivery: the licence server does not answer", "system", setting, "err", err)
		return refuse(http.StatusBadGateway, "The licence server does not answer.")
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxLicence+1))
	if err != nil || len(body) > maxLicence {
		return refuse(http.StatusBadGateway, "The answer of the licence server broke off or is too large.")
	}
	if q.record.Status = res.StatusCode; res.StatusCode != http.StatusOK {
		q.record.Message = "the licence server answered " + res.Status
	}
	if v := res.Header.Get("Content-Type"); v != "" {
		w.Header().Set("Content-Type", v)
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(res.StatusCode)
	w.Write(body)
	return nil
}
