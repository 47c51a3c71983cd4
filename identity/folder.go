package identity

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// What a Directory says about whom it does not let in.
var (
	ErrNoPrincipal = errors.New("identity: no such principal")
	ErrSecret      = errors.New("identity: wrong secret")
)

// A Directory knows principals by their client id, and people by their name.
type Directory interface {
	// Principal finds a principal, or fails with ErrNoPrincipal.
	Principal(ctx context.Context, appID string) (*Principal, error)
	// Authenticate finds a principal by its secret, or fails with
	// ErrNoPrincipal or ErrSecret.
	Authenticate(ctx context.Context, appID, secret string) (*Principal, error)
	// Certificate finds a principal and the certificate by whose key it signs
	// in, or fails with ErrNoPrincipal, or ErrSecret if it has none.
	Certificate(ctx context.Context, appID string) (*Principal, *x509.Certificate, error)
	// Identity finds the managed identity that has a secret, or fails with
	// ErrSecret.
	Identity(ctx context.Context, secret string) (*Principal, error)
	// Person finds a person by object id, or fails with ErrNoPrincipal.
	Person(ctx context.Context, id string) (*Person, error)
	// SignIn finds a person by name and password, or fails with ErrSecret,
	// which does not tell which of the two is wrong.
	SignIn(ctx context.Context, name, password string) (*Person, error)
}

// A Folder holds the identity of one data folder as private files: the ids of
// its tenant and subscription, the key that signs tokens, the principals and
// the people. It is a Directory. Several processes may use it at a time, and
// each sees at once what another changed.
type Folder struct {
	TenantID       string // GUID
	SubscriptionID string // GUID

	key        *rsa.PrivateKey
	principals *list[entry]
	people     *list[person]
	cost       int           // of hashing a password
	hashing    chan struct{} // holds a token per password being hashed
}

// entry is a principal as principals.json has it.
type entry struct {
	Principal
	SecretDigest []byte `json:"secretSha256,omitempty"` // of a random secret, so no slow hash is needed; empty: none
	Secret       string `json:"secret,omitempty"`       // in clear only if it must be shown again
	Certificate  []byte `json:"certificate,omitempty"`  // DER; in place of a secret
}

const (
	idsFile        = "ids.json"
	keyFile        = "token-signing.pem"
	principalsFile = "principals.json"
	peopleFile     = "users.json"
)

// Open reads the folder dir and makes, the first time, what is missing.
func Open(dir string) (*Folder, error) {
	f := &Folder{cost: hashCost, hashing: make(chan struct{}, hashers)}
	ids, err := Once(dir, idsFile, func() ([]byte, error) {
		return json.MarshalIndent(map[string]string{
			"tenantId": uuid.NewString(), "subscriptionId": uuid.NewString()}, "", "\t")
	})
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(ids, f); err != nil {
		return nil, fmt.Errorf("identity: %s: %w", filepath.Join(dir, idsFile), err)
	}
	for _, id := range []string{f.TenantID, f.SubscriptionID} {
		if uuid.Validate(id) != nil {
			return nil, fmt.Errorf("identity: %s: %q is not a GUID", filepath.Join(dir, idsFile), id)
		}
	}
	if f.key, err = signingKey(dir); err != nil {
		return nil, err
	}
	if f.principals, err = openList[entry](dir, principalsFile); err != nil {
		return nil, err
	}
	f.people, err = openList[person](dir, peopleFile)
	return f, err
}

func signingKey(dir string) (*rsa.PrivateKey, error) {
	b, err := Once(dir, keyFile, func() ([]byte, error) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, err
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
	})
	if err != nil {
		return nil, err
	}
	name := filepath.Join(dir, keyFile)
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, fmt.Errorf("identity: %s: not PEM", name)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("identity: %s: %w", name, err)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok || key.N.BitLen() < 2048 {
		return nil, fmt.Errorf("identity: %s: not an RSA key of 2048 bits or more", name)
	}
	return key, nil
}

// Key returns the key that signs tokens.
func (f *Folder) Key() *rsa.PrivateKey { return f.key }

// Principal implements Directory.
func (f *Folder) Principal(_ context.Context, appID string) (*Principal, error) {
	all, err := f.principals.read()
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		if strings.EqualFold(e.AppID, appID) {
			return f.principal(&e), nil
		}
	}
	return nil, ErrNoPrincipal
}

// Authenticate implements Directory.
func (f *Folder) Authenticate(_ context.Context, appID, secret string) (*Principal, error) {
	all, err := f.principals.read()
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		if strings.EqualFold(e.AppID, appID) {
			if !e.has(secret) {
				return nil, ErrSecret
			}
			return f.principal(&e), nil
		}
	}
	return nil, ErrNoPrincipal
}

// Certificate implements Directory.
func (f *Folder) Certificate(_ context.Context, appID string) (*Principal, *x509.Certificate, error) {
	all, err := f.principals.read()
	if err != nil {
		return nil, nil, err
	}
	for _, e := range all {
		if !strings.EqualFold(e.AppID, appID) {
			continue
		}
		if len(e.Certificate) == 0 {
			return nil, nil, ErrSecret
		}
		c, err := x509.ParseCertificate(e.Certificate)
		return f.principal(&e), c, err
	}
	return nil, nil, ErrNoPrincipal
}

// Identity implements Directory.
func (f *Folder) Identity(_ context.Context, secret string) (*Principal, error) {
	all, err := f.principals.read()
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		if e.Kind == ManagedIdentity && e.has(secret) {
			return f.principal(&e), nil
		}
	}
	return nil, ErrSecret
}

func (e *entry) has(secret string) bool {
	given := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(given[:], e.SecretDigest) == 1
}

// Ensure returns the client id and secret of the principal called name, made
// with role on everything if there is none. Its secret stays readable in the
// folder, because it is written to endpoints.json at each start.
func (f *Folder) Ensure(name string, role Role) (appID, secret string, err error) {
	find := func(all []entry) (bool, error) {
		i := slices.IndexFunc(all, func(e entry) bool { return e.Name == name })
		if i < 0 {
			return false, nil
		}
		if appID, secret = all[i].AppID, all[i].Secret; secret == "" {
			return true, fmt.Errorf("identity: the secret of principal %q is not kept", name)
		}
		return true, nil
	}
	all, err := f.principals.read()
	if err != nil {
		return "", "", err
	}
	if found, err := find(all); found {
		return appID, secret, err
	}
	err = f.principals.update(func(all []entry) ([]entry, error) {
		if found, err := find(all); found { // made by another process just now
			return all, err
		}
		e, s := newEntry(name, Application, []Assignment{{role, "/"}})
		e.Secret = s
		appID, secret = e.AppID, s
		return append(slices.Clone(all), e), checkAssignments(e.Assignments)
	})
	return appID, secret, err
}

// Create makes a principal and returns its secret, which is not kept. Kind is
// Application or ManagedIdentity.
func (f *Folder) Create(name string, kind Kind, assignments []Assignment) (appID, secret string, err error) {
	if kind != Application && kind != ManagedIdentity {
		return "", "", fmt.Errorf("identity: a principal is no %q", kind)
	}
	if err := errors.Join(checkName(name), checkAssignments(assignments)); err != nil {
		return "", "", err
	}
	err = f.add(name, func() entry {
		e, s := newEntry(name, kind, assignments)
		appID, secret = e.AppID, s
		return e
	})
	return appID, secret, err
}

// add adds the principal that made makes, whose name must be new.
func (f *Folder) add(name string, made func() entry) error {
	return f.principals.update(func(all []entry) ([]entry, error) {
		if slices.ContainsFunc(all, func(e entry) bool { return e.Name == name }) {
			return nil, fmt.Errorf("identity: there is a principal %q already", name)
		}
		return append(slices.Clone(all), made()), nil
	})
}

// CreateSigned makes a service principal that signs in by the key of a
// certificate, and has no secret.
func (f *Folder) CreateSigned(name string, assignments []Assignment, c *x509.Certificate) (appID string, err error) {
	if err := errors.Join(checkName(name), checkAssignments(assignments), checkCertificate(c)); err != nil {
		return "", err
	}
	err = f.add(name, func() entry {
		e, _ := newEntry(name, Application, assignments)
		e.SecretDigest, e.Certificate = nil, c.Raw
		appID = e.AppID
		return e
	})
	return appID, err
}

// Register gives a service principal, found by client id or name, a certificate
// in place of its secret or its old one. Tokens it holds live on, for at most
// their lifetime.
func (f *Folder) Register(who string, c *x509.Certificate) (appID string, err error) {
	if err := checkCertificate(c); err != nil {
		return "", err
	}
	err = f.change(who, func(e *entry) error {
		if e.Secret != "" || e.Kind != Application {
			return fmt.Errorf("identity: the principal %q needs its secret", e.Name)
		}
		appID, e.SecretDigest, e.Certificate = e.AppID, nil, c.Raw
		return nil
	})
	return appID, err
}

// change changes the principal that has a client id or a name.
func (f *Folder) change(who string, change func(*entry) error) error {
	return f.principals.update(func(all []entry) ([]entry, error) {
		i := slices.IndexFunc(all, func(e entry) bool { return e.is(who) })
		if i < 0 {
			return nil, ErrNoPrincipal
		}
		all = slices.Clone(all)
		return all, change(&all[i])
	})
}

// Rotate gives a principal, found by client id or name, a new secret; the old
// one, or the certificate, ends. Tokens it holds live on, for at most their
// lifetime.
func (f *Folder) Rotate(who string) (appID, secret string, err error) {
	err = f.change(who, func(e *entry) error {
		secret = newSecret()
		digest := sha256.Sum256([]byte(secret))
		appID, e.SecretDigest, e.Certificate = e.AppID, digest[:], nil
		if e.Secret != "" {
			e.Secret = secret
		}
		return nil
	})
	return appID, secret, err
}

// Delete takes a principal, found by client id or name, away; the tokens it
// holds end with it.
func (f *Folder) Delete(who string) error {
	return f.principals.update(func(all []entry) ([]entry, error) {
		rest := slices.DeleteFunc(slices.Clone(all), func(e entry) bool { return e.is(who) })
		if len(rest) == len(all) {
			return nil, ErrNoPrincipal
		}
		return rest, nil
	})
}

// Principals returns all principals in the order they were made.
func (f *Folder) Principals() ([]*Principal, error) {
	entries, err := f.principals.read()
	var all []*Principal
	for _, e := range entries {
		all = append(all, f.principal(&e))
	}
	return all, err
}

// is reports whether who is e's client id or name.
func (e *entry) is(who string) bool { return strings.EqualFold(e.AppID, who) || e.Name == who }

func (f *Folder) principal(e *entry) *Principal {
	p := e.Principal
	p.TenantID, p.Assignments = f.TenantID, slices.Clone(p.Assignments)
	return &p
}

func newEntry(name string, kind Kind, assignments []Assignment) (entry, string) {
	secret := newSecret()
	digest := sha256.Sum256([]byte(secret))
	return entry{
		Principal: Principal{ID: uuid.NewString(), AppID: uuid.NewString(),
			Name: name, Kind: kind, Assignments: slices.Clone(assignments)},
		SecretDigest: digest[:],
	}, secret
}

// newSecret returns letters and digits only: a secret that begins with a dash
// reads as an option on a command line, such as that of az login.
func newSecret() string { return rand.Text() + rand.Text() }

func checkAssignments(assignments []Assignment) error {
	for _, a := range assignments {
		if !a.Role.Valid() || !strings.HasPrefix(a.Scope, "/") {
			return fmt.Errorf("identity: role %q on scope %q: no such role, or not a scope", a.Role, a.Scope)
		}
	}
	return nil
}

// checkName keeps names of principals and people fit for headers, logs and
// lists: 1 to 128 characters of printable ASCII without blanks, quotes,
// angles or backslashes.
func checkName(name string) error {
	if name == "" || len(name) > 128 || strings.ContainsFunc(name, func(c rune) bool {
		return c <= ' ' || c > '~' || strings.ContainsRune("\"'`<>\\", c)
	}) {
		return fmt.Errorf("identity: %q is not a name: 1 to 128 ASCII characters, no blanks or quotes", clip(name))
	}
	return nil
}
