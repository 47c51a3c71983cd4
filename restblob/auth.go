package restblob

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/sas"
)

// skew is how far a client's clock may be off (documented: authorize with
// shared key).
const skew = 15 * time.Minute

func unauthenticated(detail string) error {
	return &fault{status: http.StatusForbidden, code: "AuthenticationFailed", detail: detail,
		msg: "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature."}
}

func forbidden(code, msg string) error {
	return &fault{status: http.StatusForbidden, code: code, msg: msg}
}

func lacking() error {
	return forbidden("AuthorizationPermissionMismatch", "This request is not authorized to perform this operation using this permission.")
}

// authorize reports why q may not do op.
func (s *server) authorize(q *request, op operation) error {
	keys, err := s.Keys.StorageKeys(q.Context(), q.account)
	if ams.CodeOf(err) == ams.NotFound {
		return &fault{status: http.StatusNotFound, code: "ResourceNotFound",
			msg: fmt.Sprintf("There is no storage account '%s' at this endpoint.", q.account)}
	}
	if err != nil {
		return err
	}
	scheme, credentials, _ := strings.Cut(q.Header.Get("Authorization"), " ")
	switch {
	case scheme == "SharedKey" || scheme == "SharedKeyLite":
		err := s.checkSharedKey(q, keys, scheme, credentials)
		q.trusted = err == nil
		return err
	case strings.EqualFold(scheme, "Bearer"):
		return s.checkBearer(q, op, strings.TrimSpace(credentials))
	case scheme != "":
		return bad("InvalidAuthenticationInfo", "Authentication information is not given in the correct format. Check the value of Authorization header.")
	}
	v, err := sas.Parse(q.query)
	if err != nil {
		return unauthenticated("The signature's fields are not well formed.")
	}
	if v == nil {
		return s.checkPublic(q, op)
	}
	// A base64 "+" that a client did not escape arrives as a space.
	v.Signature = strings.ReplaceAll(v.Signature, " ", "+")
	return s.checkSAS(q, op, keys, v)
}

func (s *server) checkBearer(q *request, op operation, token string) error {
	challenge := func() error {
		return &fault{status: http.StatusUnauthorized, code: "InvalidAuthenticationInfo",
			msg:    "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.",
			header: map[string]string{"WWW-Authenticate": "Bearer resource_id=https://storage.azure.com"}}
	}
	if s.Bearer == nil {
		return challenge()
	}
	read, write, err := s.Bearer.CheckStorage(q.Context(), q.account, token)
	switch {
	case err != nil:
		return challenge()
	case op.write && !write, !read && !write:
		return lacking()
	}
	q.trusted = read
	return nil
}

// checkPublic lets strangers read where the container says so.
func (s *server) checkPublic(q *request, op operation) error {
	if q.container != "" && op.public {
		c, err := s.Store.Container(q.Context(), q.account, q.container)
		if err == nil && (c.PublicAccess == "container" || c.PublicAccess == "blob" && q.blob != "") {
			return nil
		}
		if err != nil && !errors.Is(err, ams.ErrContainerNotFound) {
			return err
		}
	}
	return &fault{status: http.StatusUnauthorized, code: "NoAuthenticationInformation",
		msg:    "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.",
		header: map[string]string{"WWW-Authenticate": "Bearer resource_id=https://storage.azure.com"}}
}

func (s *server) checkSAS(q *request, op operation, keys [2][]byte, v *sas.Values) error {
	if v.Kind() == sas.Delegation {
		// Signed with the user's key, not with the account's.
		key, err := s.delegatedKey(q, v)
		if err != nil {
			return err
		}
		keys = [2][]byte{key}
	}
	names, err := signedNames(q, v)
	if err != nil {
		return err
	}
	if !signedByAny(v, keys, q.account, names) {
		return unauthenticated("Signature did not match: the signature was made with another key, for another resource, or its fields were changed.")
	}
	valid, err := s.withPolicy(q, *v)
	if err != nil {
		return err
	}
	if err := valid.Check(q.now, clientAddr(q.Request), q.TLS != nil); err != nil {
		return signatureFault(err)
	}
	if err := permitted(q, op, &valid); err != nil {
		return err
	}
	if v.Kind() == sas.Delegation {
		if err := s.stillDelegated(q, op, v); err != nil {
			return err
		}
	}
	q.sas = v
	return nil
}

// signedNames lists the (container, blob) pairs that v may have signed for q.
func signedNames(q *request, v *sas.Values) ([][2]string, error) {
	if v.Kind() == sas.Account {
		return [][2]string{{"", ""}}, nil
	}
	if q.container == "" {
		return nil, forbidden("AuthorizationResourceTypeMismatch", "This request is not authorized to perform this operation using this resource type.")
	}
	name := q.blob
	switch v.Resource {
	case "c":
		name = ""
	case "b", "bs", "bv":
		if name == "" {
			return nil, unauthenticated("The signature is for a blob, the request for a container.")
		}
		if q.query.Has("snapshot") != (v.Resource == "bs") {
			return nil, unauthenticated("The signature for a blob is not good for its snapshots, nor the other way round.")
		}
	case "d":
		var ok bool
		if name, ok = directory(q, v.DirectoryDepth); !ok {
			return nil, unauthenticated("The request is outside of the directory that the signature is for.")
		}
	default:
		return nil, unauthenticated("sr is missing or is not one of b, c, d, bs, bv.")
	}
	names := [][2]string{{q.container, name}}
	if v.Resource == "b" {
		// Go's client takes path-style for host-style on host names, and so
		// signs a blob with the account twice; no container has its account's
		// name. What it signs for a container names no container at all, and
		// would open every one: that is refused.
		names = append(names, [2]string{q.account + "/" + q.container, name})
	}
	return names, nil
}

// directory cuts the blob's name, or the prefix of a list, to depth segments.
func directory(q *request, depth string) (string, bool) {
	name := q.blob
	if name == "" {
		name = q.query.Get("prefix")
	}
	at := 0
	for n := 0; ; n++ {
		if fmt.Sprint(n) == depth {
			return strings.TrimSuffix(name[:at], "/"), n > 0
		}
		i := strings.IndexByte(name[at:], '/')
		if i < 0 {
			return name, fmt.Sprint(n+1) == depth
		}
		at += i + 1
	}
}

func signedByAny(v *sas.Values, keys [2][]byte, account string, names [][2]string) bool {
	ok := false
	for _, key := range keys {
		for _, n := range names {
			// No early end: which key or spelling it was is nobody's business.
			ok = len(key) > 0 && v.Verify(key, account, n[0], n[1]) || ok
		}
	}
	return ok
}

// withPolicy completes v from the stored access policy that it names.
func (s *server) withPolicy(q *request, v sas.Values) (sas.Values, error) {
	if v.Identifier == "" || v.Kind() != sas.Service {
		return v, nil
	}
	c, err := s.Store.Container(q.Context(), q.account, q.container)
	if err != nil && !errors.Is(err, ams.ErrContainerNotFound) {
		return v, err
	}
	if err == nil {
		for _, p := range c.Policies {
			if p.ID == v.Identifier {
				v, err := v.WithPolicy(sas.Policy{Start: p.Start, Expiry: p.Expiry, Permissions: p.Permissions})
				if err != nil {
					return v, signatureFault(err)
				}
				return v, nil
			}
		}
	}
	return v, unauthenticated("The stored access policy that si names does not exist: it was deleted or replaced.")
}

func signatureFault(err error) error {
	switch {
	case errors.Is(err, sas.ErrProtocol):
		return forbidden("AuthorizationProtocolMismatch", "This request is not authorized to perform this operation using this protocol.")
	case errors.Is(err, sas.ErrAddress):
		return forbidden("AuthorizationSourceIPMismatch", "This request is not authorized to perform this operation using this source IP.")
	case errors.Is(err, sas.ErrTime):
		return unauthenticated("Signature not valid in the specified time frame.")
	case errors.Is(err, sas.ErrTwice):
		return unauthenticated("A field is given both in the URL and in the stored access policy.")
	case errors.Is(err, sas.ErrIncomplete):
		return unauthenticated("sp and se are mandatory: in the URL or in the stored access policy.")
	}
	return unauthenticated(strings.TrimPrefix(err.Error(), "sas: "))
}

// permitted compares what v grants with what op needs.
func permitted(q *request, op operation, v *sas.Values) error {
	need := op.service
	if v.Kind() == sas.Account {
		need = op.account
		switch {
		case !strings.Contains(v.Services, "b"):
			return forbidden("AuthorizationServiceMismatch", "This request is not authorized to perform this operation using this service.")
		case !strings.ContainsAny(v.ResourceTypes, op.resource):
			return forbidden("AuthorizationResourceTypeMismatch", "This request is not authorized to perform this operation using this resource type.")
		}
	}
	if !strings.ContainsAny(v.Permissions, need) {
		return lacking()
	}
	q.createOnly = need == "wc" && !strings.Contains(v.Permissions, "w")
	return nil
}

func clientAddr(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	addr, _ := netip.ParseAddr(host)
	return addr.WithZone("")
}
