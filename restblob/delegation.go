package restblob

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"net/http"
	"strings"
	"time"

	"github.com/openams/openams/sas"
)

// maxDelegation is the longest life of a user's key (documented: Get User
// Delegation Key).
const maxDelegation = 7 * 24 * time.Hour

// userDelegationKey serves Get User Delegation Key: the bearer of a token gets
// a key to sign URLs with, which open what the bearer may open then.
func (s *server) userDelegationKey(w http.ResponseWriter, q *request) error {
	scheme, token, _ := strings.Cut(q.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return unauthenticated("Only the bearer of a token gets a user delegation key.")
	}
	if s.Delegates == nil || len(s.Secret) == 0 {
		return unserved("user delegation keys")
	}
	object, tenant, err := s.Delegates.StorageUser(q.Context(), q.account, strings.TrimSpace(token))
	if err != nil {
		return unauthenticated("The token's bearer is not known.")
	}
	text, err := smallBody(w, q, 64<<10)
	if err != nil {
		return err
	}
	var info struct {
		XMLName xml.Name `xml:"KeyInfo"`
		Start   string
		Expiry  string
	}
	if err := xml.Unmarshal(text, &info); err != nil {
		return invalidXML(err)
	}
	start := q.now
	if info.Start != "" {
		if start, err = sas.ParseTime(info.Start); err != nil {
			return bad("InvalidXmlNodeValue", "Start is not a time.")
		}
	}
	expiry, err := sas.ParseTime(info.Expiry)
	if err != nil {
		return bad("InvalidXmlNodeValue", "Expiry is not a time.")
	}
	if !expiry.After(start) || !expiry.After(q.now) || expiry.Sub(start) > maxDelegation || expiry.Sub(q.now) > maxDelegation+skew {
		return bad("InvalidXmlNodeValue", "Expiry is not after Start and now, within seven days.")
	}
	v := sas.Values{KeyObject: object, KeyTenant: tenant, KeyStart: sas.Time(start), KeyExpiry: sas.Time(expiry), KeyService: "b", KeyVersion: q.version}
	var b xmlWriter
	b.WriteString(xmlHead + "<UserDelegationKey>")
	b.element("SignedOid", v.KeyObject)
	b.element("SignedTid", v.KeyTenant)
	b.element("SignedStart", v.KeyStart)
	b.element("SignedExpiry", v.KeyExpiry)
	b.element("SignedService", v.KeyService)
	b.element("SignedVersion", v.KeyVersion)
	b.element("Value", base64.StdEncoding.EncodeToString(s.deriveKey(q.account, &v)))
	b.WriteString("</UserDelegationKey>")
	return writeXML(w, http.StatusOK, b.Bytes())
}

// deriveKey is the user's key: made anew from the fields that go with it, it
// is stored nowhere.
func (s *server) deriveKey(account string, v *sas.Values) []byte {
	m := hmac.New(sha256.New, s.Secret)
	m.Write([]byte(strings.Join([]string{"user delegation key", account, v.KeyObject, v.KeyTenant, v.KeyStart, v.KeyExpiry, v.KeyService, v.KeyVersion}, "\n")))
	return m.Sum(nil)
}

// delegatedKey is the key that v must have been signed with.
func (s *server) delegatedKey(q *request, v *sas.Values) ([]byte, error) {
	if s.Delegates == nil || len(s.Secret) == 0 {
		return nil, unserved("user delegation signatures")
	}
	if v.KeyService != "b" || v.Identifier != "" {
		return nil, unauthenticated("sks of a user delegation signature is b, and it names no stored access policy.")
	}
	if v.DelegatedObject != "" || v.DelegatedTenant != "" {
		return nil, unauthenticated("Signatures that are bound to the user who uses them are not served.")
	}
	as := *v
	for _, t := range []*string{&as.KeyStart, &as.KeyExpiry} {
		at, err := sas.ParseTime(*t)
		if err != nil {
			return nil, unauthenticated("skt or ske is not a time.")
		}
		*t = sas.Time(at) // clients write times their own way
	}
	return s.deriveKey(q.account, &as), nil
}

// stillDelegated checks that the user may still do what the URL is for.
func (s *server) stillDelegated(q *request, op operation, v *sas.Values) error {
	read, write, err := s.Delegates.StorageRights(q.Context(), q.account, v.KeyObject, v.KeyTenant)
	if err != nil {
		return unauthenticated("The user who delegated is not known any more.")
	}
	if op.write && !write || !op.write && !read {
		return lacking()
	}
	return nil
}
