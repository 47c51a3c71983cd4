package account

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/catalog"
	"github.com/openams/openams/identity"
)

// Config is what a Server needs. Catalog, Blobs, BlobEndpoint and
// StreamingHost are required.
type Config struct {
	Catalog *catalog.DB
	Blobs   *blob.Store

	// BlobEndpoint is the root of the blob face as clients reach it, without
	// the storage account: "http://127.0.0.1:10000".
	BlobEndpoint string
	// StreamingHost is the host[:port] of the first account's default streaming
	// endpoint. The others are {account}.{StreamingDomain}, and
	// {endpoint}-{account}.{StreamingDomain} where they are not the default.
	StreamingHost string
	// StreamingDomain is a host[:port] below which every name leads to the
	// origin. Empty: StreamingHost, or localhost where that is an IP address.
	StreamingDomain string

	// KeyDelivery is the root of key delivery as players reach it, without a
	// slash at its end: "http://localhost:8888/keys".
	KeyDelivery string

	// Supports and SupportsInput say whether the encoder can run a preset and
	// read an input. A job that needs more is refused at submission, not in
	// the middle. Their errors name what is missing. Nil: everything.
	Supports      func(ams.Preset) error
	SupportsInput func(ams.JobInput) error
	// TaskPreset is what the configuration of a v2 task means to the processor
	// of that name, for so many input and output assets; its errors name what
	// cannot be done. Nil: there are no processors.
	TaskPreset func(processor, configuration string, inputs, outputs int) (ams.Preset, error)
	// CheckURL refuses the URLs that the server may not fetch. Nil: none.
	CheckURL func(url string) error
	// Follow makes a starting or stopping endpoint so, before its operation
	// ends. Nil: the origin reads the state on each request.
	Follow func(context.Context, *ams.StreamingEndpoint) error

	Limits   Limits
	KeepJobs time.Duration // after a job's end its record is kept so long; 0: 90 days, negative: for ever

	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // nil: slog.Default(); only for operations that outlive their request
}

// A Server holds all accounts of one openams. Its methods may be called
// concurrently.
type Server struct {
	Config
	operations     sync.WaitGroup // those that outlive their request
	first          string         // name of the first account; set by EnsureFirst
	assets, jobs   tally
	uploads        arrivals // to ingest manifests
	accessPolicies tally
	keyPolicies    tally
	policyOptions  tally
	deliveries     tally // delivery policies
	contentKeys    tally // that v2 made
	protection     protection
	usage          usage
}

// New makes a Server. It touches nothing.
func New(c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.KeepJobs == 0 {
		c.KeepJobs = keptJobs
	}
	if c.StreamingDomain == "" {
		c.StreamingDomain = domainOf(c.StreamingHost)
	}
	c.Limits = c.Limits.defaults()
	c.BlobEndpoint = strings.TrimSuffix(c.BlobEndpoint, "/")
	return &Server{
		Config: c,
		assets: tally{of: map[string]counted{}, count: (*catalog.Tx).CountAssets},
		jobs:   tally{of: map[string]counted{}, count: (*catalog.Tx).CountJobs},

		uploads:        arrivals{of: map[[2]string]bool{}, wake: make(chan struct{}, 1)},
		accessPolicies: tally{of: map[string]counted{}, count: (*catalog.Tx).CountLocatorPolicies},
		keyPolicies:    tally{of: map[string]counted{}, count: (*catalog.Tx).CountContentKeyPolicies},
		policyOptions:  tally{of: map[string]counted{}, count: (*catalog.Tx).CountPolicyOptions},
		deliveries:     tally{of: map[string]counted{}, count: (*catalog.Tx).CountDeliveryPolicies},
		contentKeys:    tally{of: map[string]counted{}, count: (*catalog.Tx).CountKeys},
		usage:          usage{of: map[string]used{}},
	}
}

// Close waits for the operations under way.
func (s *Server) Close() { s.operations.Wait() }

// An Account is one media services account and its operations.
type Account struct {
	ams.Account
	s *Server
}

// First names what a server has from its first start.
type First struct {
	SubscriptionID, ResourceGroup, Account, Location string
	StorageAccount                                   string
}

// EnsureFirst makes the first account of a new data folder, its storage
// account and its default streaming endpoint, which is Running (AMS left it
// Stopped: a cost there, a surprise here). It is called once, before requests
// are served, and makes an account that was deleted again. What exists it
// leaves as it is, but for the host names of streaming endpoints, which follow
// StreamingHost and StreamingDomain.
func (s *Server) EnsureFirst(ctx context.Context, f First) error {
	s.first = f.Account
	now := s.now()
	return s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		if _, err := tx.StorageAccount(f.StorageAccount); ams.CodeOf(err) == ams.NotFound {
			if _, err := s.newStorage(tx, f.StorageAccount); err != nil {
				return err
			}
		} else if err != nil {
			return err
		}
		_, err := tx.Account(f.Account)
		if ams.CodeOf(err) == ams.NotFound {
			err = s.insertAccount(tx, &ams.Account{
				ID: uuid.NewString(), SubscriptionID: f.SubscriptionID, ResourceGroup: f.ResourceGroup,
				Name: f.Account, Location: f.Location,
				Storage: []ams.AccountStorage{{Name: f.StorageAccount, Primary: true}},
				Created: now, LastModified: now, // by nobody: the server itself
			}, ams.EndpointRunning)
		}
		if err != nil {
			return err
		}
		return s.rehost(tx)
	})
}

// Account finds the account at a Resource Manager address.
func (s *Server) Account(ctx context.Context, subscription, group, name string) (*Account, error) {
	a := &Account{s: s}
	return a, s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		found, err := tx.Account(name)
		if err != nil {
			return err
		}
		if !strings.EqualFold(found.SubscriptionID, subscription) || !strings.EqualFold(found.ResourceGroup, group) {
			return ams.Errorf(ams.NotFound, "The media services account was not found.")
		}
		a.Account = *found
		return nil
	})
}

// ByID finds an account by its guid, which every entity of it carries.
func (s *Server) ByID(ctx context.Context, id string) (*Account, error) {
	a := &Account{s: s}
	return a, s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		found, err := tx.AccountByID(id)
		if err == nil {
			a.Account = *found
		}
		return err
	})
}

// Accounts lists the accounts of a subscription, or of one resource group in
// it when group is not empty, by name.
func (s *Server) Accounts(ctx context.Context, subscription, group string) (accounts []*ams.Account, err error) {
	err = s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		all, _, err := tx.Accounts(catalog.Query{Whole: true}) // at most 100 in a subscription (documented)
		for _, a := range all {
			if strings.EqualFold(a.SubscriptionID, subscription) && (group == "" || strings.EqualFold(a.ResourceGroup, group)) {
				accounts = append(accounts, a)
			}
		}
		return err
	})
	return accounts, err
}

// NameAvailable says whether a new account may have the name, and if not why:
// reason is "Invalid" or "AlreadyExists" (recorded).
func (s *Server) NameAvailable(ctx context.Context, name string) (ok bool, reason, message string, err error) {
	if err := ams.ValidateAccountName(name); err != nil {
		return false, "Invalid", err.Error(), nil
	}
	err = s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		_, err := tx.Account(name)
		return err
	})
	switch {
	case err == nil:
		return false, "AlreadyExists", fmt.Sprintf("The account name '%s' is already in use.", name), nil
	case ams.CodeOf(err) == ams.NotFound:
		return true, "", "", nil
	}
	return false, "", "", err
}

// Transact runs do so that what it changes by the context it gets happens
// together or not at all. What deletes bytes or takes time is refused in it.
func (a *Account) Transact(ctx context.Context, do func(context.Context) error) error {
	return a.s.Catalog.Transact(ctx, do)
}

// alone refuses in a Transact what cannot be taken back.
func alone(joined bool, what string) error {
	if joined {
		return ams.Errorf(ams.Unsupported, "%s cannot be part of a changeset of several operations.", what)
	}
	return nil
}

// StorageKeys are the two keys of a storage account.
func (s *Server) StorageKeys(ctx context.Context, storageAccount string) (keys [2][]byte, err error) {
	err = s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		store, err := tx.StorageAccount(storageAccount)
		if err == nil {
			keys = store.Keys
		}
		return err
	})
	return keys, err
}

// now is the time that records carry: AMS showed milliseconds, and what a
// client reads back it may compare with in a $filter.
func (s *Server) now() time.Time { return s.Now().UTC().Truncate(time.Millisecond) }

// caller is who asks, for createdBy and lastModifiedBy.
func caller(ctx context.Context) string {
	p := identity.FromContext(ctx)
	if p == nil {
		return ""
	}
	return ams.CallerText(string(p.Kind), p.Who())
}
