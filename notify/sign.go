package notify

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// secretPrefix marks a secret that is base64, as Standard Webhooks has it.
const secretPrefix = "whsec_"

// parseSecret reads a secret as people configure it: base64 after "whsec_",
// or any other text as it is.
func parseSecret(s string) ([]byte, error) {
	b := []byte(s)
	if rest, ok := strings.CutPrefix(s, secretPrefix); ok {
		var err error
		if b, err = base64.StdEncoding.DecodeString(rest); err != nil {
			return nil, errors.New("what follows whsec_ in the secret is not base64")
		}
	}
	if len(b) < 16 || len(b) > 1024 {
		return nil, fmt.Errorf("the secret has %d bytes, not 16 to 1024", len(b))
	}
	return b, nil
}

func newSecret() []byte {
	b := make([]byte, 32)
	rand.Read(b) // never fails (crypto/rand)
	return b
}

// sign sets the headers of Standard Webhooks: HMAC-SHA256 over the id, the
// time in seconds and the body, joined by dots. The time is of the attempt, so
// that a receiver can refuse what somebody kept and sends again.
func sign(h http.Header, secret []byte, id string, at time.Time, body []byte) {
	seconds := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id + "." + seconds + "."))
	mac.Write(body)
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", seconds)
	h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}
