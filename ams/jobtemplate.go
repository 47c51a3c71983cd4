package ams

import "time"

// A JobTemplate is a recipe of v2: what the tasks of a job are, without its
// assets. It never changes.
type JobTemplate struct {
	Account      string // Account.ID
	ID           string // guid: the v2 Id is "nb:jtid:UUID:" + ID
	Name         string // free text
	Body         string // the XML, as the client wrote it
	Kind         int    // TemplateType, as the client wrote it
	Inputs       int    // how many assets a job needs
	Tasks        []TaskTemplate
	Created      time.Time
	LastModified time.Time
}

// A TaskTemplate is what a task of a job template does. Which assets it reads
// and makes is in the template's Body.
type TaskTemplate struct {
	Account      string // Account.ID
	ID           string // guid that the client chose: the v2 Id is "nb:ttid:UUID:" + ID
	Template     string // JobTemplate.ID
	Index        int    // position in JobTemplate.Tasks
	Description  string
	Spec         TaskSpec // without its Body
	Inputs       int      // as the client wrote it
	Outputs      int      // likewise
	Created      time.Time
	LastModified time.Time
}

// A NotificationEndpoint is where messages about v2 jobs go.
type NotificationEndpoint struct {
	Account        string // Account.ID
	ID             string // guid: the v2 Id is "nb:nepid:UUID:" + ID
	Name           string // free text
	Kind           NotificationKind
	Address        string // URL; its query may be a secret
	CredentialType int    // 0: none, 1: a signing key
	Key            []byte // signs messages; empty: they are not signed
	ProtectionKey  string // id of the certificate that Key came wrapped for
	Created        time.Time
}

// A NotificationKind says how messages are delivered.
type NotificationKind int

// The values of EndPointType. AMS took the name of a queue in the account's
// storage for the first; here it is the URL of one, in any storage.
const (
	QueueEndpoint   NotificationKind = 1
	WebhookEndpoint NotificationKind = 3
)
