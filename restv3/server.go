package restv3

import (
	"log/slog"
	"net/http"
	"slices"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv3/arm"
)

// Config is what the face needs of the server. All but Log are required.
type Config struct {
	Accounts *account.Server
	Facts    *arm.Facts       // the subscription, group and tenant there are; New sets its StorageAccounts
	Tokens   arm.TokenChecker // bearer tokens of the management audience
	TenantID string           // named in the challenge of a 401

	// V2 is the root of the v2 API of an account, for clients that look for it
	// here; empty: it has none. Nil: no account has.
	V2 func(*http.Request, *ams.Account) string

	Log *slog.Logger // nil: slog.Default()
}

// New is the handler of everything below /subscriptions, /providers and
// /tenants. Every request needs a bearer token.
func New(c Config) http.Handler {
	a := &api{accounts: c.Accounts, facts: c.Facts, v2: c.V2}
	c.Facts.StorageAccounts = storageOf(c.Accounts)
	rt := arm.NewRouter(arm.RouterConfig{Log: c.Log, Fault: fault, Location: c.Facts.Location,
		Older: map[string][]string{"GET " + accountPath: {discoveryVersion}}})
	c.Facts.Register(rt)
	a.registerStorage(rt)
	for _, o := range slices.Concat(a.table(), a.extensions()) {
		switch {
		case o.elsewhere:
		case o.handle == nil:
			rt.Handle(o.Method, o.Path, notYet(o.Op))
		default:
			rt.HandleOr(o.Method, o.Path, o.handle, o.or)
		}
	}
	return arm.Authenticate(c.Tokens, c.TenantID, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = &lenient{ReadCloser: r.Body}
		rt.ServeHTTP(w, r)
	}))
}

// An api serves the operations of the table.
type api struct {
	accounts *account.Server
	facts    *arm.Facts
	v2       func(*http.Request, *ams.Account) string
}

// A handler serves one operation below an account that exists.
type handler func(acc *account.Account, w http.ResponseWriter, r *http.Request) error

// in finds the account of the path for h.
func (a *api) in(h handler) arm.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		group, name := r.PathValue("resourceGroupName"), r.PathValue("accountName")
		acc, err := a.accounts.Account(r.Context(), r.PathValue("subscriptionId"), group, name)
		if err != nil {
			if ams.CodeOf(err) == ams.NotFound {
				return arm.ResourceNotFound("Microsoft.Media/mediaservices", name, group)
			}
			return err
		}
		return h(acc, w, r)
	}
}
