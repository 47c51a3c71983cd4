package account

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// Limits bound what a server and its accounts hold. A field that is zero takes
// the value that AMS documented, a negative one sets no bound.
type Limits struct {
	Accounts         int // in the server: 100
	StorageAccounts  int // of one account: 100
	Assets           int // of one account: 1,000,000
	Jobs             int // records in one account: 500,000
	Transforms       int // of one account: 100
	Policies         int // streaming policies of one account: 100
	Filters          int // of one account, and of one asset: 100
	Tracks           int // of one asset: 100 (AMS documents none)
	LocatorsPerAsset int // 100
	// As v2 counts them, SAS locators too: 5. A container has at most five stored
	// access policies, unless this is set higher.
	V2LocatorsPerAsset int
	AccessPolicies     int // of one account, v2: 1,000,000
	KeyPolicies        int // content key policies of one account: 1,000,000
	KeyPolicyOptions   int // that v2 made, of one account: 1,000,000
	DeliveryPolicies   int // of one account, v2: 1,000,000
	ContentKeys        int // of one account, v2: 1,000,000 (AMS documents none)
	FilesPerAsset      int // records of v2: 10,000 (AMS documents none)
	Endpoints          int // streaming endpoints of one account: 2
	ScaleUnits         int // of one streaming endpoint: 10
	IngestManifests    int // of one account: 100,000 (AMS documents none)
	IngestFiles        int // of one ingest manifest: 100,000 (AMS documents none)
}

// defaults fills the zero fields and makes "no bound" a large number.
func (l Limits) defaults() Limits {
	for _, f := range []struct {
		at         *int
		documented int
	}{
		{&l.Accounts, 100}, {&l.StorageAccounts, 100}, {&l.Assets, 1_000_000}, {&l.Jobs, 500_000},
		{&l.Transforms, 100}, {&l.Policies, 100}, {&l.Filters, 100}, {&l.Tracks, 100},
		{&l.LocatorsPerAsset, 100}, {&l.FilesPerAsset, 10_000}, {&l.Endpoints, 2}, {&l.ScaleUnits, 10},
		{&l.IngestManifests, 100_000}, {&l.IngestFiles, 100_000}, {&l.V2LocatorsPerAsset, 5}, {&l.AccessPolicies, 1_000_000},
		{&l.KeyPolicies, 1_000_000}, {&l.KeyPolicyOptions, 1_000_000}, {&l.DeliveryPolicies, 1_000_000}, {&l.ContentKeys, 1_000_000},
	} {
		switch {
		case *f.at == 0:
			*f.at = f.documented
		case *f.at < 0:
			*f.at = 1 << 30
		}
	}
	return l
}

// Bytes that a client may store. AMS documented none of them; lists of what
// has no bound would have none.
const (
	maxDescription = 64 << 10
	maxAlternateID = 2048      // PostgreSQL indexes no more
	maxLabel       = 512       // characters (documented)
	maxCorrelation = 32 << 10  // all names and values of a job: each of its events repeats them
	maxAccount     = 128 << 10 // all properties; they are listed without pages
	maxTrack       = 64 << 10  // likewise
)

// short refuses a text, of the property at, of more than max bytes.
func short(at, text string, max int) error {
	if len(text) > max {
		return ams.Invalidf(at, "%s is longer than %d bytes.", at[strings.LastIndexByte(at, '.')+1:], max)
	}
	return nil
}

// small refuses an entity whose record has more than max bytes.
func small(at, what string, entity any, max int) error {
	b, err := json.Marshal(entity)
	if err == nil && len(b) > max {
		err = ams.Invalidf(at, "The %s is larger than %d bytes.", what, max)
	}
	return err
}

// full is the error of a limit that is reached.
func full(what string, limit int) error {
	return ams.Errorf(ams.Limit, "There may be at most %d %s: delete some first.", limit, what)
}

// A tally guards a limit whose rows take long to count: it counts them once,
// adds what this process creates, and counts again when the limit seems to be
// reached or when ten minutes have passed, for rows go away and other processes
// create some too.
type tally struct {
	mu    sync.Mutex
	of    map[string]counted // by Account.ID
	count func(tx *catalog.Tx, account string) (int, error)
}

type counted struct {
	n  int
	at time.Time
}

const recount = 10 * time.Minute

// admit lets one more in, or fails with Limit.
func (t *tally) admit(ctx context.Context, a *Account, what string, limit int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, known := t.of[a.ID]
	if now := a.s.Now(); !known || c.n >= limit || now.Sub(c.at) > recount {
		c.at = now
		err := a.s.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
			c.n, err = t.count(tx, a.ID)
			return err
		})
		if err != nil {
			return err
		}
	}
	if c.n >= limit {
		t.of[a.ID] = c
		return full(what, limit)
	}
	c.n++
	t.of[a.ID] = c
	return nil
}
