package catalog

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/openams/openams/ams"
)

// A notificationRow is a notification endpoint as it is stored.
type notificationRow struct {
	ams.NotificationEndpoint
	box []byte // notificationSecrets, sealed
}

// notificationSecrets are what nobody may read who reads the database.
type notificationSecrets struct {
	Address string
	Key     []byte
}

var notificationEndpoints = table[notificationRow]{
	name: "notification_endpoints", what: "notification endpoint",
	columns: []column[notificationRow]{
		{name: "account", at: func(e *notificationRow) any { return &e.Account }},
		{name: "id", at: func(e *notificationRow) any { return &e.ID }},
		{name: "name", at: func(e *notificationRow) any { return &e.Name }},
		{name: "kind", at: func(e *notificationRow) any { return &e.Kind }},
		{name: "created", at: func(e *notificationRow) any { return &e.Created }},
		{name: "sealed", at: func(e *notificationRow) any { return &e.box }},
	},
	rest: func(e *notificationRow) map[string]any {
		return map[string]any{"credentialType": &e.CredentialType, "protectionKey": &e.ProtectionKey}
	},
	key: "Id",
	properties: map[string]field{
		"Id":           {column: "id", kind: ident, prefix: "nb:nepid:UUID:"},
		"Name":         {column: "name", kind: text},
		"EndPointType": {column: "kind", kind: number},
		"Created":      {column: "created", kind: date},
	},
}

func (tx *Tx) openNotification(row *notificationRow) (*ams.NotificationEndpoint, error) {
	plain, err := tx.db.unsealed("notification endpoint "+row.ID, row.box)
	if err != nil {
		return nil, err
	}
	var s notificationSecrets
	err = json.Unmarshal(plain, &s)
	row.Address, row.Key = s.Address, s.Key
	return &row.NotificationEndpoint, err
}

func (tx *Tx) sealNotification(e *ams.NotificationEndpoint) (*notificationRow, error) {
	plain, err := json.Marshal(notificationSecrets{e.Address, e.Key})
	return &notificationRow{NotificationEndpoint: *e, box: tx.db.sealed("notification endpoint "+e.ID, plain)}, err
}

// NotificationEndpoint finds a notification endpoint of an account by its guid,
// its secrets opened.
func (tx *Tx) NotificationEndpoint(account, id string) (*ams.NotificationEndpoint, error) {
	row, err := notificationEndpoints.one(tx, "account = ? AND id = ?", account, strings.ToLower(id))
	if err != nil {
		return nil, err
	}
	return tx.openNotification(row)
}

// FindNotificationEndpoints searches the notification endpoints of an account,
// their secrets opened.
func (tx *Tx) FindNotificationEndpoints(account string, s Search) (*Found[ams.NotificationEndpoint], error) {
	rows, err := notificationEndpoints.search(tx, s, "account = ?", account)
	if err != nil {
		return nil, err
	}
	found := &Found[ams.NotificationEndpoint]{Count: rows.Count, Next: rows.Next}
	for _, row := range rows.Rows {
		e, err := tx.openNotification(row)
		if err != nil {
			return nil, err
		}
		found.Rows = append(found.Rows, e)
	}
	return found, nil
}

// CountNotificationEndpoints is how many notification endpoints an account has.
func (tx *Tx) CountNotificationEndpoints(account string) (int, error) {
	return notificationEndpoints.count(tx, "account = ?", account)
}

// InsertNotificationEndpoint adds a notification endpoint, and the event target
// of its name that deliveries go to.
func (tx *Tx) InsertNotificationEndpoint(e *ams.NotificationEndpoint) error {
	row, err := tx.sealNotification(e)
	if err != nil {
		return err
	}
	if _, err := notificationEndpoints.insert(tx, row); err != nil {
		return err
	}
	return tx.SaveEventTarget(&EventTarget{Name: EndpointTarget(e.Account, e.ID), Place: place(e.Address)})
}

// RenameNotificationEndpoint rewrites the name of an endpoint, which is all that
// changes of it.
func (tx *Tx) RenameNotificationEndpoint(account, id, name string) error {
	row, err := notificationEndpoints.one(tx, "account = ? AND id = ?", account, strings.ToLower(id))
	if err != nil {
		return err
	}
	row.Name = name
	return notificationEndpoints.update(tx, row, "account = ? AND id = ?", account, row.ID)
}

// DeleteNotificationEndpoint deletes an endpoint, and what is on its way to it.
func (tx *Tx) DeleteNotificationEndpoint(account, id string) error {
	id = strings.ToLower(id)
	if err := notificationEndpoints.deleteOne(tx, "account = ? AND id = ?", account, id); err != nil {
		return err
	}
	return tx.DeleteEventTarget(EndpointTarget(account, id))
}

// EndpointTarget is the name of the event target of a notification endpoint.
// No name of the configuration has a colon.
func EndpointTarget(account, id string) string { return "v2:" + account + ":" + id }

// place is a URL without its query, for people to read.
func place(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	u.RawQuery, u.Fragment, u.User = "", "", nil
	return u.String()
}
