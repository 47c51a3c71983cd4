package restv2

import (
	"context"
	_ "embed"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/identity"
	"github.com/openams/openams/restv2/odata"
)

//go:embed model.json
var model []byte

// A TokenChecker finds whom a bearer token stands for. identity.Authority is
// one.
type TokenChecker interface {
	Check(ctx context.Context, aud identity.Audience, bearer string) (*identity.Principal, error)
}

// Config is what the face needs of the server. All but Log are required.
type Config struct {
	// Account finds the account that a request is for, as v2 had it: by the
	// host name. An *ams.Error is shown to the client.
	Account func(*http.Request) (*account.Account, error)
	Tokens  TokenChecker // bearer tokens of the media audience
	Path    string       // of the service root: "/api/"
	Log     *slog.Logger // nil: slog.Default()
}

// New is the handler of everything below Config.Path, whose words have no
// case. It is to get paths as they were sent: clients double slashes and
// escape whole paths.
func New(c Config) (http.Handler, error) {
	m, err := odata.ParseModel(model)
	if err != nil {
		return nil, err
	}
	oc := entitySets(m)
	oc.Path, oc.Log = c.Path, c.Log
	oc.Transaction = func(ctx context.Context, do func(context.Context) error) error { return of(ctx).Transact(ctx, do) }
	s, err := odata.New(oc)
	if err != nil {
		return nil, err
	}
	return authenticate(c, s), nil
}

// entitySets says what is served of the model.
func entitySets(m *odata.Model) odata.Config {
	oc := odata.Config{Model: m, Fault: fault, Allow: allow,
		Sets: map[string]odata.Reader{
			"Filters":         filters{},
			"AssetFilters":    assetFilters{},
			"MediaProcessors": mediaProcessors{},
			"Operations":      operations{},
			"StorageAccounts": storageAccounts{},
		},
		Calls: map[string]odata.Call{}}
	registerAssets(&oc)
	registerEndpoints(&oc)
	registerIngest(&oc)
	registerJobs(&oc)
	registerLocators(&oc)
	registerSettings(&oc)
	registerKeys(&oc)
	return oc
}

type accountKey struct{}

// of is the account that a request is for.
func of(ctx context.Context) *account.Account {
	return ctx.Value(accountKey{}).(*account.Account)
}

// authenticate lets requests with a good token through, with the caller and
// the account in their context.
func authenticate(c Config, s *odata.Server) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			s.WriteError(w, r, unauthorized("The 'Authorization' header with a bearer token is missing."))
			return
		}
		p, err := c.Tokens.Check(r.Context(), identity.Media, strings.TrimSpace(token))
		if te, ok := errors.AsType[*identity.TokenError](err); ok {
			err = unauthorized(te.Msg)
		}
		if re, ok := errors.AsType[*identity.RateError](err); ok {
			e := odata.Errorf(http.StatusServiceUnavailable, "Server is busy. Please retry after the time of the header 'Retry-After'.")
			e.Header = http.Header{"Retry-After": {strconv.Itoa(1 + int(re.After/time.Second))}}
			err = e
		}
		if err != nil {
			s.WriteError(w, r, err)
			return
		}
		acc, err := c.Account(r)
		if err != nil {
			s.WriteError(w, r, err)
			return
		}
		ctx := context.WithValue(identity.NewContext(r.Context(), p), accountKey{}, acc)
		s.ServeHTTP(w, r.WithContext(ctx))
	})
}

func unauthorized(msg string) error {
	e := odata.Errorf(http.StatusUnauthorized, "%s", msg)
	e.Header = http.Header{"WWW-Authenticate": {`Bearer error="invalid_token"`}}
	return e
}

// nouns are the words of permissions, by entity set or function. The others are read by
// who may read the account.
var nouns = map[string]string{
	"Assets":             "assets/",
	"Files":              "assets/",
	"CreateFileInfos":    "assets/",
	"AccessPolicies":     "streamingLocators/",
	"Locators":           "streamingLocators/",
	"Filters":            "accountFilters/",
	"AssetFilters":       "assets/assetFilters/",
	"StreamingEndpoints": "streamingEndpoints/",
	"Operations":         "streamingEndpointOperations/",

	// Who may write assets may have them filled.
	"IngestManifests":      "assets/",
	"IngestManifestAssets": "assets/",
	"IngestManifestFiles":  "assets/",

	// v3 has the keys of streams with their locators. Functions that anybody may
	// call who may read the account are not here; RebindContentKey asks itself.
	"ContentKeys":                          "streamingLocators/",
	"ContentKeyAuthorizationPolicies":      "contentKeyPolicies/",
	"ContentKeyAuthorizationPolicyOptions": "contentKeyPolicies/",
	"AssetDeliveryPolicies":                "streamingPolicies/",

	"Jobs":                  "transforms/jobs/",
	"CancelJob":             "transforms/jobs/",
	"ExplainJob":            "transforms/jobs/",
	"Tasks":                 "transforms/jobs/",
	"JobTemplates":          "transforms/",
	"TaskTemplates":         "transforms/",
	"NotificationEndPoints": "transforms/jobs/",
}

// allow asks for the permission that the same takes in v3.
func allow(ctx context.Context, method, what string) error {
	set, function, called := strings.Cut(what, "/")
	action := "Microsoft.Media/mediaservices/" + nouns[set]
	switch {
	case what == "ContentKeys/GetKeyDeliveryUrl": // it tells what paths tell
		action += "read"
	case called:
		action += strings.ToLower(function) + "/action"
	case method == http.MethodGet:
		action += "read"
	case method == http.MethodDelete:
		action += "delete"
	default:
		action += "write"
	}
	if identity.FromContext(ctx).May(action, scope(ctx)) {
		return nil
	}
	return odata.Errorf(http.StatusForbidden, "The caller does not have the permission '%s'.", action)
}

func scope(ctx context.Context) string {
	a := of(ctx)
	return "/subscriptions/" + a.SubscriptionID + "/resourceGroups/" + a.ResourceGroup + "/providers/Microsoft.Media/mediaservices/" + a.Name
}

// faults is how v2 answers each kind of failure. Internal ones are odata's: a
// 500 that shows the request id alone.
var faults = map[ams.Code]int{
	ams.Invalid:      http.StatusBadRequest,
	ams.NotFound:     http.StatusNotFound,
	ams.Exists:       http.StatusConflict,
	ams.Conflict:     http.StatusConflict,
	ams.Precondition: http.StatusPreconditionFailed,
	ams.Forbidden:    http.StatusForbidden,
	ams.Limit:        http.StatusForbidden, // "quota reached" was a 403 (documented)
	ams.Unsupported:  http.StatusBadRequest,
	ams.Unavailable:  http.StatusServiceUnavailable,
}

// fault spells an error of account, or returns nil for one that the caller
// may not read.
func fault(err error) *odata.Error {
	status, ok := faults[ams.CodeOf(err)]
	if !ok {
		return nil
	}
	return odata.Errorf(status, "%s", err.Error())
}

// The prefixes of ids.
const (
	accessPolicyID = "nb:pid:UUID:"
	locatorID      = "nb:lid:UUID:"
	assetID        = "nb:cid:UUID:" // of files too
	endpointID     = "nb:oid:UUID:"
	operationID    = "nb:opid:UUID:"
	processorID    = "nb:mpid:UUID:"
	manifestID     = "nb:mid:UUID:"
	ingestAssetID  = "nb:maid:UUID:"
	ingestFileID   = "nb:mfid:UUID:"
	monitoringID   = "nb:mcid:UUID:"
	keyID          = "nb:kid:UUID:"
	policyID       = "nb:ckpid:UUID:"
	optionID       = "nb:ckpoid:UUID:"
	deliveryID     = "nb:adpid:UUID:"
)

// guid is the guid of an id with a prefix; empty if it has another.
func guid(prefix, id string) string {
	if len(id) <= len(prefix) || !strings.EqualFold(id[:len(prefix)], prefix) {
		return ""
	}
	return strings.ToLower(id[len(prefix):])
}
