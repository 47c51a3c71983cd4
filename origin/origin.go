package origin

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/openams/openams/account"
	"github.com/openams/openams/ams"
	"github.com/openams/openams/blob"
	"github.com/openams/openams/packager"
)

// Locators is what a Handler needs of the accounts. The host is that of a
// request, which says which streaming endpoint it is for. The error of
// ResolveLocator is ams.NotFound for a locator that the endpoint does not know,
// ams.Conflict for one that is not active, ams.Unavailable when the endpoint
// does not run.
type Locators interface {
	ResolveLocator(ctx context.Context, host, id string) (*account.Published, error)
	EndpointOf(ctx context.Context, host string) (*ams.StreamingEndpoint, error)
	// FindFilter finds a filter of the asset, else of its account.
	FindFilter(ctx context.Context, asset *ams.Asset, name string) (*ams.ManifestFilter, error)
}

// Blobs is what a Handler needs of the storage.
type Blobs interface {
	Stat(ctx context.Context, account, container, name string) (*ams.Blob, error)
	Open(ctx context.Context, account, container, name string) (*blob.Reader, error)
	All(ctx context.Context, account, container, prefix string) iter.Seq2[*ams.Blob, error]
}

// Config is what a Handler is made of.
type Config struct {
	Locators Locators
	Blobs    Blobs
	// Changes counts the changes of records in this server: it rises before
	// the change is acknowledged to whoever made it. While it stands still
	// locators and files are not looked up again. nil: locators are looked up
	// for each request, files once a second.
	Changes func() uint64
	// Keys finds the content keys of locators. nil: what a policy encrypts is
	// not served.
	Keys Keys
	// KeyDelivery is the URL of key delivery for manifests, without a slash at
	// the end. "": /keys of the origin that the client asked.
	KeyDelivery string
	// Observe is told of each request after its answer. nil: nobody is.
	Observe func(Observation)

	IndexDir    string // where indexes of foreign files are kept; "": nowhere
	IndexDisk   int64  // bytes in IndexDir; 0: 1 GiB
	AudioDir    string // where the audio of foreign files is laid out for streaming; "": nowhere
	AudioDisk   int64  // bytes in AudioDir; 0: no audio is laid out
	IndexMemory int64  // bytes of presentations in memory; 0: 256 MiB
	TextMemory  int64  // bytes of manifests and playlists in memory; 0: 64 MiB
	MakeMemory  int64  // bytes for segments that are made in memory (TS); 0: 512 MiB; at least 256 MiB
	KeepMemory  int64  // bytes of segments that are kept once made: small ones, and whole-segment encryption; 0: 256 MiB
	OpenFiles   int    // files that stay open between requests; 0: 256

	// Patience is how long a client may take for a mebibyte of a segment or file
	// until its connection is cut. 0: a minute.
	Patience time.Duration

	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // nil: slog.Default()
}

// An Observation is what metrics and logs may want to know of a request.
type Observation struct {
	Kind   Kind
	Format string        // "hls_ts", "hls_cmaf", "dash", "smooth", "download", "none"
	Status int           // 0: the client went away before an answer
	Code   packager.Code // of an error; ""
	Bytes  int64         // of the body
}

// A Handler serves all streaming endpoints of a server: the host that a client
// asks says which.
type Handler struct {
	c         Config
	published *cache[publishedKey, *published]
	titles    *titles
	texts     *cache[textKey, *text]
	guarded   *cache[string, *guards]
	kept      *cache[keptKey, *kept]
	files     *openFiles
	memory    *semaphore.Weighted
	busy      time.Duration // how long a client waits for memory
}

// idleFile is how long a file stays open after its last use. Players fetch a
// segment every few seconds.
const idleFile = 15 * time.Second

// New makes a Handler. Close it when no request is under way.
func New(c Config) *Handler {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Patience == 0 {
		c.Patience = time.Minute
	}
	files := newOpenFiles(c.Blobs, or(c.OpenFiles, 256), idleFile)
	return &Handler{
		c:         c,
		published: newCache[publishedKey, *published](10_000),
		titles: &titles{
			blobs: c.Blobs, changes: c.Changes, now: c.Now,
			cache: newCache[title, *presentation](or(c.IndexMemory, 256<<20)),
			indexes: &indexes{
				blobs: c.Blobs, files: files, log: c.Log,
				shelf: newShelf(c.IndexDir, or(c.IndexDisk, 1<<30)),
				slots: make(chan struct{}, 2),
			},
			packer: newPacker(files, newShelf(c.AudioDir, c.AudioDisk), c.Log),
		},
		texts:   newCache[textKey, *text](or(c.TextMemory, 64<<20)),
		guarded: newCache[string, *guards](10_000),
		kept:    newCache[keptKey, *kept](or(c.KeepMemory, 256<<20)),
		files:   files,
		memory:  semaphore.NewWeighted(max(or(c.MakeMemory, 512<<20), 2*maxMade)),
		busy:    busyTime,
	}
}

func or[T int | int64](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// Close ends what goes on in the background and closes the files that are open.
func (h *Handler) Close() {
	h.titles.packer.close()
	h.files.close()
}

// A publishedKey is a locator as one host has it.
type publishedKey struct{ host, locator string }

// published is a locator's resolution as of a count of changes.
type published struct {
	*account.Published
	endpoint *endpoint
	seen     uint64
	filters  found
	tracks   string // tracksID of Published.Tracks
}

// resolve finds what a locator publishes now.
func (h *Handler) resolve(ctx context.Context, key publishedKey) (*published, error) {
	if h.c.Changes == nil {
		return h.lookUp(ctx, key)
	}
	for {
		count := h.c.Changes() // before the look-up, so that a change meanwhile is seen next time
		p, err := h.published.get(key, func() (*published, int64, error) {
			p, err := h.lookUp(context.WithoutCancel(ctx), key)
			if err == nil {
				p.seen = count
			}
			return p, 1, err
		})
		if err != nil {
			return nil, err
		}
		if p.seen < count {
			h.published.drop(key, func(q *published) bool { return p == q })
			continue
		}
		if !p.Locator.Active(h.c.Now()) {
			return nil, errNoLocator
		}
		return p, nil
	}
}

// errNoLocator does not tell an ended locator from one that never was: who
// holds an old link learns nothing.
var errNoLocator = errorf(packager.ResourceNotFound, "there is no active streaming locator of this id")

var errStopped = errorf(EndpointStopped, "the streaming endpoint is not running")

func (h *Handler) lookUp(ctx context.Context, key publishedKey) (*published, error) {
	p, err := h.c.Locators.ResolveLocator(ctx, key.host, key.locator)
	switch {
	case err == nil && p.Endpoint.State != ams.EndpointRunning, ams.CodeOf(err) == ams.Unavailable:
		return nil, errStopped
	case ams.CodeOf(err) == ams.NotFound, ams.CodeOf(err) == ams.Conflict:
		return nil, errNoLocator
	case err != nil:
		return nil, err
	case !p.Locator.Active(h.c.Now()):
		return nil, errNoLocator
	}
	tracks, err := tracksID(p.Tracks)
	if err != nil {
		return nil, err
	}
	return &published{Published: p, endpoint: newEndpoint(p.Endpoint), tracks: tracks}, nil
}

// protocol is the protocol of a format, as policies call it, and its name in
// metrics.
func (q *Request) protocol() (ams.Protocol, string) {
	switch {
	case q.Kind == File:
		return ams.Download, "download"
	case q.Format == HLSCMAF:
		return ams.HLS, "hls_cmaf"
	case q.Format.hls():
		return ams.HLS, "hls_ts"
	case q.Format == DASHCSF || q.Format == DASHCMAF:
		return ams.DASH, "dash"
	}
	return ams.SmoothStreaming, "smooth"
}

// schemes are the values of the encryption key that stand for each scheme.
var schemes = map[Encryption]ams.Scheme{
	Clear: ams.NoEncryption, CBC: ams.Envelope, CENC: ams.CENC, PIFF: ams.CENC, CBCS: ams.CBCS,
}

// permit says whether the policy serves the request under the encryption that
// its URL names, and fills that in where the URL names none and the policy has
// just one for the protocol. CMAF always names it (documented).
func permit(p *ams.StreamingPolicy, q *Request) error {
	proto, _ := q.protocol()
	var allowed []ams.Scheme
	for _, s := range []ams.Scheme{ams.NoEncryption, ams.Envelope, ams.CENC, ams.CBCS} {
		if p.Allows(s, proto) {
			allowed = append(allowed, s)
		}
	}
	switch {
	case len(allowed) == 0:
		return errorf(OutputFormatBlocked, "the streaming policy %s does not allow %s", p.Name, proto)
	case q.Encryption == Clear && allowed[0] == ams.NoEncryption:
		return nil
	case q.Kind == File: // there is no encryption of downloads
		return errorf(OutputFormatBlocked, "the streaming policy %s does not allow %s in the clear", p.Name, proto)
	case q.Encryption == Clear && len(allowed) > 1:
		return errorf(EncryptionNotSpecified, "the streaming policy %s allows more than one encryption of %s, and the URL names none", p.Name, proto)
	case q.Encryption == Clear && (q.Format == HLSCMAF || q.Format == DASHCMAF):
		return errorf(EncryptionNotSpecified, "the streaming policy %s encrypts %s: URLs of the format %s name the encryption, as in encryption=%s", p.Name, proto, string(q.Format), values[allowed[0]])
	case q.Encryption == Clear:
		q.Encryption = values[allowed[0]]
	case !p.Allows(schemes[q.Encryption], proto):
		return errorf(EncryptionNotInPolicy, "the streaming policy %s does not allow encryption=%s of %s", p.Name, q.Encryption, proto)
	}
	return nil
}

// aborted reports whether an answer failed because its client went away.
func aborted(ctx context.Context, err error) bool {
	return ctx.Err() != nil || errors.Is(err, context.Canceled)
}
