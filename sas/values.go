package sas

import (
	"errors"
	"net/url"
	"strings"
	"time"
)

// DefaultVersion is the sv that this package's callers sign with: the newest
// whose string-to-sign every client in use understands.
const DefaultVersion = "2021-06-08"

// Values are the fields of a shared access signature as they stand in its
// URL: decoded once, otherwise untouched. An absent field is "".
type Values struct {
	Version     string // sv; "" before 2012-02-12
	Permissions string // sp
	Start       string // st
	Expiry      string // se
	IP          string // sip: address or first-last
	Protocol    string // spr
	Scope       string // ses, encryption scope
	Signature   string // sig, base64

	// Service and user delegation SAS.
	Resource       string // sr: c b bs bv d
	Identifier     string // si, name of a stored access policy
	Snapshot       string // snapshot or version id, from the request's own query
	DirectoryDepth string // sdd
	CacheControl   string // rscc
	Disposition    string // rscd
	Encoding       string // rsce
	Language       string // rscl
	ContentType    string // rsct

	// Account SAS.
	Services      string // ss
	ResourceTypes string // srt

	// User delegation SAS: the key it was signed with, and who uses it.
	KeyObject, KeyTenant, KeyStart, KeyExpiry, KeyService, KeyVersion string // skoid sktid skt ske sks skv
	AuthorizedObject, UnauthorizedObject, Correlation                 string // saoid suoid scid
	DelegatedTenant, DelegatedObject                                  string // skdutid sduoid
	SignedHeaders, SignedQuery                                        string // srh srq
}

// A Kind is one of the three shapes of shared access signature.
type Kind int

// The kinds of shared access signature.
const (
	Service Kind = iota
	Account
	Delegation
)

// field pairs a query parameter with its place in v.
type field struct {
	name  string
	value *string
}

// fields lists every signed query parameter of v in the order that URLs show
// them. sig comes last.
func (v *Values) fields() []field {
	return []field{
		{"sv", &v.Version}, {"ss", &v.Services}, {"srt", &v.ResourceTypes},
		{"spr", &v.Protocol}, {"st", &v.Start}, {"se", &v.Expiry}, {"sip", &v.IP},
		{"si", &v.Identifier}, {"sr", &v.Resource}, {"sdd", &v.DirectoryDepth}, {"sp", &v.Permissions},
		{"skoid", &v.KeyObject}, {"sktid", &v.KeyTenant}, {"skt", &v.KeyStart}, {"ske", &v.KeyExpiry},
		{"sks", &v.KeyService}, {"skv", &v.KeyVersion},
		{"saoid", &v.AuthorizedObject}, {"suoid", &v.UnauthorizedObject}, {"scid", &v.Correlation},
		{"skdutid", &v.DelegatedTenant}, {"sduoid", &v.DelegatedObject},
		{"srh", &v.SignedHeaders}, {"srq", &v.SignedQuery},
		{"ses", &v.Scope},
		{"rscc", &v.CacheControl}, {"rscd", &v.Disposition}, {"rsce", &v.Encoding},
		{"rscl", &v.Language}, {"rsct", &v.ContentType},
		{"sig", &v.Signature},
	}
}

// ErrMalformed is returned by Parse for a query that has a signature but
// cannot be a shared access signature: a field given twice, a bad sv.
var ErrMalformed = errors.New("sas: malformed shared access signature")

// Parse reads the shared access signature in q. It returns nil, nil when q
// has no sig.
func Parse(q url.Values) (*Values, error) {
	if !q.Has("sig") {
		return nil, nil
	}
	v := new(Values)
	for _, f := range v.fields() {
		switch got := q[f.name]; len(got) {
		case 0:
		case 1:
			*f.value = got[0]
		default:
			return nil, ErrMalformed
		}
	}
	if v.Version != "" && !ValidVersion(v.Version) {
		return nil, ErrMalformed
	}
	switch v.Resource {
	case "bs":
		v.Snapshot = q.Get("snapshot")
	case "bv":
		v.Snapshot = q.Get("versionid")
	}
	return v, nil
}

// Kind tells which of the three shapes v has.
func (v *Values) Kind() Kind {
	switch {
	case v.KeyObject != "":
		return Delegation
	case v.Services != "" || v.ResourceTypes != "":
		return Account
	}
	return Service
}

// Encode is v as a query string, empty fields left out. Snapshot is a
// parameter of the request, not of the signature, and is not written.
func (v Values) Encode() string {
	var b strings.Builder
	for _, f := range v.fields() {
		if *f.value == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(f.name)
		b.WriteByte('=')
		// %20, not +: old clients decode a query as a path.
		b.WriteString(strings.ReplaceAll(url.QueryEscape(*f.value), "+", "%20"))
	}
	return b.String()
}

// ValidVersion reports whether s is a date that may be a storage version.
// Any date will do: clients send versions from the future of any list.
func ValidVersion(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

// Time writes t as the fields st and se hold it.
func Time(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// layouts are the spellings of time seen in st and se.
var layouts = []string{
	"2006-01-02T15:04:05Z", // time.Parse takes a fraction after the seconds too
	"2006-01-02T15:04Z",
	"2006-01-02",
	time.RFC3339,
}

// ParseTime reads a time as st and se hold it.
func ParseTime(s string) (time.Time, error) {
	for _, l := range layouts {
		if t, err := time.Parse(l, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errors.New("sas: not a time: " + s)
}
