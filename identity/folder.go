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
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"
)

// What a Directory says about a client that it does not let in.
var (
	ErrNoPrincipal = errors.New("identity: no such principal")
	ErrSecret      = errors.New("identity: wrong client secret")
)

// A Directory knows principals by their client id.
type Directory interface {
	// Principal finds a principal, or fails with ErrNoPrincipal.
	Principal(ctx context.Context, appID string) (*Principal, error)
	// Authenticate finds a principal by its secret, or fails with
	// ErrNoPrincipal or ErrSecret.
	Authenticate(ctx context.Context, appID, secret string) (*Principal, error)
}

// A Folder holds the identity of one data folder as private files: the ids of
// its tenant and subscription, the key that signs tokens, and the principals.
// It is a Directory. One process uses it at a time.
type Folder struct {
	TenantID       string // GUID
	SubscriptionID string // GUID

	dir string
	key *rsa.PrivateKey

	mu         sync.Mutex
	principals []entry
}

// entry is a principal as principals.json has it.
type entry struct {
	Principal
	SecretDigest []byte `json:"secretSha256"`     // of a random secret, so no slow hash is needed
	Secret       string `json:"secret,omitempty"` // in clear only if it must be shown again
}

const (
	idsFile        = "ids.json"
	keyFile        = "token-signing.pem"
	principalsFile = "principals.json"
)

// Open reads the folder dir and makes, the first time, what is missing.
func Open(dir string) (*Folder, error) {
	f := &Folder{dir: dir}
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
	b, err := Once(dir, principalsFile, func() ([]byte, error) { return []byte("[]"), nil })
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &f.principals); err != nil {
		return nil, fmt.Errorf("identity: %s: %w", filepath.Join(dir, principalsFile), err)
	}
	for i := range f.principals {
		f.principals[i].TenantID = f.TenantID
	}
	return f, nil
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
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.principals {
		if strings.EqualFold(e.AppID, appID) {
			return e.copy(), nil
		}
	}
	return nil, ErrNoPrincipal
}

// Authenticate implements Directory.
func (f *Folder) Authenticate(_ context.Context, appID, secret string) (*Principal, error) {
	given := sha256.Sum256([]byte(secret))
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.principals {
		if strings.EqualFold(e.AppID, appID) {
			if subtle.ConstantTimeCompare(given[:], e.SecretDigest) != 1 {
				return nil, ErrSecret
			}
			return e.copy(), nil
		}
	}
	return nil, ErrNoPrincipal
}

// Ensure returns the client id and secret of the principal called name, made
// with role on everything if there is none. Its secret stays readable in the
// folder, because it is written to endpoints.json at each start.
func (f *Folder) Ensure(name string, role Role) (appID, secret string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range f.principals {
		if e.Name == name {
			if e.Secret == "" {
				return "", "", fmt.Errorf("identity: the secret of principal %q is not kept", name)
			}
			return e.AppID, e.Secret, nil
		}
	}
	return f.add(name, Application, []Assignment{{role, "/"}}, true)
}

// Create makes a principal and returns its secret, which is not kept.
func (f *Folder) Create(name string, kind Kind, assignments []Assignment) (appID, secret string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.ContainsFunc(f.principals, func(e entry) bool { return e.Name == name }) {
		return "", "", fmt.Errorf("identity: there is a principal %q already", name)
	}
	return f.add(name, kind, assignments, false)
}

// Delete takes a principal away; the tokens it holds end with it.
func (f *Folder) Delete(appID string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	rest := slices.DeleteFunc(slices.Clone(f.principals), func(e entry) bool { return strings.EqualFold(e.AppID, appID) })
	if len(rest) == len(f.principals) {
		return ErrNoPrincipal
	}
	return f.save(rest)
}

// Principals returns all principals in the order they were made.
func (f *Folder) Principals() []*Principal {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []*Principal
	for _, e := range f.principals {
		all = append(all, e.copy())
	}
	return all
}

func (f *Folder) add(name string, kind Kind, assignments []Assignment, keep bool) (appID, secret string, err error) {
	for _, a := range assignments {
		if !a.Role.Valid() || !strings.HasPrefix(a.Scope, "/") {
			return "", "", fmt.Errorf("identity: role %q on scope %q: no such role, or not a scope", a.Role, a.Scope)
		}
	}
	// Letters and digits only: a secret that begins with a dash reads as an
	// option on a command line, such as that of az login.
	secret = rand.Text() + rand.Text()
	digest := sha256.Sum256([]byte(secret))
	e := entry{
		Principal: Principal{ID: uuid.NewString(), AppID: uuid.NewString(), TenantID: f.TenantID,
			Name: name, Kind: kind, Assignments: slices.Clone(assignments)},
		SecretDigest: digest[:],
	}
	if keep {
		e.Secret = secret
	}
	if err := f.save(append(slices.Clone(f.principals), e)); err != nil {
		return "", "", err
	}
	return e.AppID, secret, nil
}

// save makes all the principals of the folder, on disk and then in memory.
func (f *Folder) save(all []entry) error {
	b, err := json.MarshalIndent(all, "", "\t")
	if err != nil {
		return err
	}
	if err := writePrivate(filepath.Join(f.dir, principalsFile), b, os.Rename); err != nil {
		return err
	}
	f.principals = all
	return nil
}

func (e *entry) copy() *Principal {
	p := e.Principal
	p.Assignments = slices.Clone(p.Assignments)
	return &p
}
