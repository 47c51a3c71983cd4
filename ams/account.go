package ams

import (
	"encoding/json"
	"time"
)

// An Account is a media services account: the owner of everything below.
// Its v3 address is SubscriptionID, ResourceGroup and Name.
type Account struct {
	ID             string // the account's guid, v3 mediaServiceId
	SubscriptionID string
	ResourceGroup  string
	Name           string // unique in the server, 3-24 of [a-z0-9]
	Location       string
	Tags           map[string]string
	Storage        []AccountStorage // one Primary, any number of Secondary
	Settings       AccountSettings
	Units          ReservedUnits
	Monitoring     []MonitoringConfiguration
	PrivateLinks   []PrivateLink
	Created        time.Time
	LastModified   time.Time
	CreatedBy      string // a CallerText, for systemData
	LastModifiedBy string
}

// An AccountStorage attaches a storage account to a media services account.
type AccountStorage struct {
	Name     string // of the StorageAccount
	Primary  bool
	Identity json.RawMessage `json:",omitempty"` // v3 identity: kept, no effect
}

// AccountSettings are settings of Azure's surroundings: identities, customer
// keys, private networks. They are kept in the v3 spelling for the clients that
// write them and have no effect here. Empty: the default.
type AccountSettings struct {
	Identity              json.RawMessage `json:"identity,omitempty"`
	StorageAuthentication string          `json:"storageAuthentication,omitempty"`
	Encryption            json.RawMessage `json:"encryption,omitempty"`
	KeyDelivery           json.RawMessage `json:"keyDelivery,omitempty"`
	PublicNetworkAccess   string          `json:"publicNetworkAccess,omitempty"`
	MinimumTLSVersion     string          `json:"minimumTlsVersion,omitempty"`
}

// A PrivateLink is a private endpoint connection: kept, no effect.
type PrivateLink struct {
	Name  string          `json:"name"`
	State json.RawMessage `json:"state,omitempty"` // privateLinkServiceConnectionState in the v3 spelling
}

// PrimaryStorage is the name of the storage account that new assets use.
func (a *Account) PrimaryStorage() string {
	for _, s := range a.Storage {
		if s.Primary {
			return s.Name
		}
	}
	return ""
}

// HasStorage reports whether the storage account is attached to a.
func (a *Account) HasStorage(name string) bool {
	for _, s := range a.Storage {
		if s.Name == name {
			return true
		}
	}
	return false
}

// A StorageAccount is a blob endpoint's account: a name and two keys, either
// of which signs requests and shared access signatures.
type StorageAccount struct {
	Name    string
	Keys    [2][]byte // 64 random bytes each; encrypted at rest
	Created time.Time
}

// ReservedUnits are the encoding units that a client of v2 reserved: kept, no
// effect. How many tasks run at once is for who runs the server to say.
type ReservedUnits struct {
	Type  int `json:"type"` // 0: S1, 1: S2, 2: S3
	Count int `json:"count"`
}

// MaxReservedUnits is how many units an account may reserve (documented).
const MaxReservedUnits = 25

// Validate reports the first rule that u breaks, as an Invalid error.
func (u ReservedUnits) Validate() error {
	switch {
	case u.Type < 0 || u.Type > 2:
		return Invalidf("ReservedUnitType", "ReservedUnitType must be 0, 1 or 2.")
	case u.Count < 0 || u.Count > MaxReservedUnits:
		return Invalidf("CurrentReservedUnits", "CurrentReservedUnits must be 0 to %d.", MaxReservedUnits)
	}
	return nil
}

// A MonitoringConfiguration asks for telemetry in tables of a storage account
// (v2): kept, no effect, for this server has no tables. Its metrics are at
// /metrics.
type MonitoringConfiguration struct {
	ID           string // guid
	Endpoint     string // v2 id of a notification endpoint
	Settings     []MonitoringSetting
	Created      time.Time
	LastModified time.Time
}

// A MonitoringSetting is how much a component tells.
type MonitoringSetting struct {
	Component string `json:"component"`
	Level     string `json:"level"`
}
