package ams

import "time"

// A Container is a named set of blobs of a storage account.
type Container struct {
	StorageAccount string
	Name           string
	ETag           string // without quotes; changes with every change of the container itself
	Created        time.Time
	LastModified   time.Time
	PublicAccess   string            // "", "container" or "blob"
	Metadata       map[string]string // names in lower case
	Policies       []AccessPolicy    // at most 5, in the order given
	Lease          Lease
}

// An AccessPolicy is a stored access policy of a container: a shared access
// signature that names it takes the missing fields from here and dies with it.
type AccessPolicy struct {
	ID          string // 1-64 characters, unique in the container
	Start       string // as sent, "" when the signature says it
	Expiry      string // as sent, "" when the signature says it
	Permissions string // as sent, "" when the signature says it
}

// A Blob is a named, immutable-once-written sequence of bytes in a container.
// A write makes a new version of it; readers of the old one keep it.
type Blob struct {
	StorageAccount string
	Container      string
	Name           string // 1-1024 UTF-16 units, any Unicode; not a path
	Size           int64
	ETag           string // without quotes; changes with every change of bytes, headers or metadata
	Created        time.Time
	LastModified   time.Time
	Headers        BlobHeaders
	Metadata       map[string]string // names in lower case
	Tier           string            // "" is the default, Hot
	Tags           map[string]string // at most 10; kept as sent
	Lease          Lease             // of the blob; its snapshots have none
	Copy           *Copy             // how the blob came here, nil: it was written

	// Snapshot is the time of a snapshot as its address says it, "" for the
	// blob itself. A snapshot never changes.
	Snapshot string

	// Extents are the blob's bytes in order. A list of blobs leaves them nil.
	Extents []Extent
	// Blocks is the committed block list, nil for a blob written in one piece.
	// A list of blobs leaves it nil.
	Blocks []Block
}

// BlobHeaders are the HTTP headers that a blob is served with.
type BlobHeaders struct {
	ContentType        string // "" is served as application/octet-stream
	ContentEncoding    string
	ContentLanguage    string
	ContentDisposition string
	CacheControl       string
	ContentMD5         []byte // 16 bytes, or nil when the writer gave none for a block list
}

// A Block is one piece of a blob as its writer cut it.
type Block struct {
	ID     string // base64, as sent
	Size   int64
	CRC64  uint64    // of its bytes, as in Extent
	File   string    // where a staged block's bytes are; "" in a committed list
	Staged time.Time // when it was staged; zero in a committed list
}

// An Extent is a run of bytes in one file of the storage driver. Files are
// written once: an extent's bytes never change.
type Extent struct {
	File   string // the driver's name for it
	Offset int64
	Length int64
	CRC64  uint64 // of the bytes, polynomial 0x9A6C9329AC4BC9B5
	Whole  bool   // the extent is all of an ordinary file under the blob's own name
}

// OneFile reports whether b's bytes are one ordinary file.
func (b *Blob) OneFile() bool { return len(b.Extents) == 1 && b.Extents[0].Whole }

// A Copy is the last copy operation that had the blob as its destination.
type Copy struct {
	ID          string // a GUID
	Source      string // URL without its signature
	Status      CopyStatus
	Description string // why it failed
	Done, Total int64  // bytes; Total is 0 while unknown
	Completed   time.Time
}

// A CopyStatus is Azure's word for how a copy stands.
type CopyStatus string

// The states of a copy. All but CopyPending are final.
const (
	CopyPending CopyStatus = "pending"
	CopySuccess CopyStatus = "success"
	CopyAborted CopyStatus = "aborted"
	CopyFailed  CopyStatus = "failed"
)

// A Lease keeps all but its holder from changing a blob, or from deleting a
// container. The zero value is no lease.
type Lease struct {
	ID      string    // a GUID, "" when there is no lease
	Seconds int       // 15 to 60, or -1 for one without end
	Expires time.Time // zero for one without end
	Broken  time.Time // when a break ends; zero when nobody broke it
}

// A LeaseState is Azure's word for how a lease stands.
type LeaseState string

// The states of a lease. In LeaseLeased and LeaseBreaking it binds.
const (
	LeaseAvailable LeaseState = "available"
	LeaseLeased    LeaseState = "leased"
	LeaseExpired   LeaseState = "expired"
	LeaseBreaking  LeaseState = "breaking"
	LeaseBroken    LeaseState = "broken"
)

// State is the lease's state at an instant.
func (l *Lease) State(now time.Time) LeaseState {
	switch {
	case l.ID == "":
		return LeaseAvailable
	case !l.Broken.IsZero() && now.Before(l.Broken):
		return LeaseBreaking
	case !l.Broken.IsZero():
		return LeaseBroken
	case l.Seconds < 0 || now.Before(l.Expires):
		return LeaseLeased
	}
	return LeaseExpired
}

// Binds reports whether only the lease's holder may write.
func (l *Lease) Binds(now time.Time) bool {
	state := l.State(now)
	return state == LeaseLeased || state == LeaseBreaking
}

// A CORSRule lets web pages of other origins use a storage account. Fields are
// lists as sent: separated by commas, "*" for all.
type CORSRule struct {
	AllowedOrigins  string
	AllowedMethods  string
	AllowedHeaders  string
	ExposedHeaders  string
	MaxAgeInSeconds int
}

// StorageProperties are the settings of a storage account's blob service.
type StorageProperties struct {
	CORS           []CORSRule // at most 5, the first that matches counts
	DefaultVersion string     // x-ms-version of requests that name none; "" is 2009-09-19
}

// Failures of storage that a face tells apart although their Code is the same.
var (
	ErrContainerNotFound error = &Error{Code: NotFound, Msg: "The specified container does not exist."}
	ErrContainerExists   error = &Error{Code: Exists, Msg: "The specified container already exists."}
	ErrBlobNotFound      error = &Error{Code: NotFound, Msg: "The specified blob does not exist."}
	ErrBlobExists        error = &Error{Code: Exists, Msg: "The specified blob already exists."}
	ErrConditionNotMet   error = &Error{Code: Precondition, Msg: "The condition specified using HTTP conditional header(s) is not met."}
	ErrStorageFull       error = &Error{Code: Unavailable, Msg: "The storage has no space left for this operation."}
)
