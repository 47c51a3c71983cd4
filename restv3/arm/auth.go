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
		if re, ok := errors.AsType[*identity.RateError](err); ok {
			WriteError(w, TooMany(re.After, "The caller sends too many requests. Please retry after the time of the header 'Retry-After'."))
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

// maxAddresses bounds how many clients LimitAddresses remembers.
const maxAddresses = 50_000

// LimitAddresses answers 429 to an address that asks more often than rate,
// before its token is looked at. A rate of zero is two thousand requests a
// second, twenty thousand at once: what a busy service behind one address
// sends. One below zero limits nothing.
func LimitAddresses(rate middleware.Rate, next http.Handler) http.Handler {
	if rate.PerSecond == 0 {
		rate = middleware.Rate{PerSecond: 2000, Burst: 20_000}
	}
	limiter := middleware.NewLimiter(rate, maxAddresses, nil)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if wait := limiter.Take(middleware.Address(r)); wait > 0 {
			WriteError(w, TooMany(wait, "This address sends too many requests. Please retry after the time of the header 'Retry-After'."))
			return
		}
		next.ServeHTTP(w, r)
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
