package arm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/openams/openams/identity"
	"github.com/openams/openams/middleware"
)

// A TokenChecker finds whom a bearer token stands for. identity.Authority is
// one.
type TokenChecker interface {
	Check(ctx context.Context, aud identity.Audience, bearer string) (*identity.Principal, error)
}

// Authenticate lets requests with a good token through to next, with the
// caller in their context. The tenant is where it sends all others for one.
func Authenticate(check TokenChecker, tenantID string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := authenticate(check, r)
		if err == nil {
			next.ServeHTTP(w, r.WithContext(identity.NewContext(r.Context(), p)))
			return
		}
		var refused *refusal
		if !errors.As(err, &refused) {
			slog.ErrorContext(r.Context(), "token check failed", "request_id", middleware.RequestID(r.Context()), "error", err)
			WriteError(w, internal(r))
			return
		}
		e := Errorf(http.StatusUnauthorized, refused.code, "%s", refused.message)
		e.Header = http.Header{"WWW-Authenticate": {fmt.Sprintf(
			`Bearer authorization_uri="%s/%s", error="invalid_token", error_description="%s"`,
			middleware.Origin(r), tenantID, quotable(refused.challenge))}}
		WriteError(w, e)
	})
}

// refusal is what the client reads in the body and in the challenge.
type refusal struct {
	code, message, challenge string
}

func (e *refusal) Error() string { return e.code }

func authenticate(check TokenChecker, r *http.Request) (*identity.Principal, error) {
	header := strings.TrimSpace(r.Header.Get("Authorization"))
	if header == "" {
		return nil, &refusal{"AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.",
			"The authentication failed because of missing 'Authorization' header."}
	}
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		const text = "Authentication failed. The 'Authorization' header is provided in an invalid format."
		return nil, &refusal{"AuthenticationFailed", text, text}
	}
	p, err := check.Check(r.Context(), identity.Management, strings.TrimSpace(token))
	te, ok := errors.AsType[*identity.TokenError](err)
	if !ok {
		return p, err
	}
	code := "InvalidAuthenticationToken"
	if te.Reason == identity.Expired {
		code = "ExpiredAuthenticationToken"
	}
	return nil, &refusal{code, te.Msg, te.Msg}
}

// quotable makes s fit for a quoted string of a header.
func quotable(s string) string {
	return strings.Map(func(c rune) rune {
		if c == '"' || c == '\\' || c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, s)
}
