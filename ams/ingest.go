package ams

import "time"

// An IngestManifest takes the files of many assets through one container, so
// that who uploads needs to know no asset. (v2 alone.)
type IngestManifest struct {
	Account        string // Account.ID
	ID             string // guid
	Label          string // the v2 Name, may repeat
	StorageAccount string
	Container      string // takes the uploads
	Watched        bool   // somebody has looked for its files
	Created        time.Time
	LastModified   time.Time
}

// An IngestState is what an IngestManifest does; v2 shows the number.
type IngestState int

// The states of an IngestManifest.
const (
	IngestInactive   IngestState = iota // no file is pending
	IngestActivating                    // nobody has looked for the files yet
	IngestActive
)

// State is what m does while so many files are pending.
func (m *IngestManifest) State(pending int) IngestState {
	switch {
	case pending == 0:
		return IngestInactive
	case !m.Watched:
		return IngestActivating
	}
	return IngestActive
}

// An IngestAsset is an asset that files of a manifest are for.
type IngestAsset struct {
	Account      string // Account.ID
	ID           string // guid
	Manifest     string // IngestManifest.ID
	Asset        string // Asset.ID; the asset may be gone
	Created      time.Time
	LastModified time.Time
}

// An IngestFile is a file that is expected in the container of a manifest. It
// becomes an AssetFile that says what it says.
type IngestFile struct {
	Account              string // Account.ID
	ID                   string // guid
	Manifest             string // IngestManifest.ID
	IngestAsset          string // IngestAsset.ID
	Name                 string // of the blob; unique in the manifest
	State                IngestFileState
	Error                string // empty unless State is IngestFailed
	Source               string // ETag of the blob that was moved; empty before
	Primary              bool
	Encrypted            bool
	EncryptionVersion    string
	EncryptionScheme     string
	EncryptionKey        string
	InitializationVector string
	MIMEType             string
	Created              time.Time
	LastModified         time.Time
}

// An IngestFileState is what became of an IngestFile; v2 shows the number.
type IngestFileState int

// The states of an IngestFile.
const (
	IngestPending IngestFileState = iota
	IngestFinished
	IngestFailed
)

// IngestStatistics count the files of a manifest.
type IngestStatistics struct {
	Pending, Finished, Failed int
	Errors                    string // of the first that failed, a line for each
}

// IngestContainers is what the names of the containers of manifests begin
// with; the guid of the manifest follows.
const IngestContainers = "ingestmanifest-"
