package restv2

import (
	"context"
	"strings"

	"github.com/openams/openams/restv2/odata"
)

// mediaProcessors serves the MediaProcessors set: the processors of AMS that
// encode, and those that package, encrypt and decrypt. Whether a task of one
// can run is said when its job is submitted.
type mediaProcessors struct{}

// processors are those of AMS: ids and names as documented or seen in its
// clients, versions other than of Media Encoder Standard and Azure Media
// Encoder inferred. SDKs take the highest version of a name.
var processors = []struct{ guid, name, version string }{
	{"ff4df607-d419-42f0-bc17-a481b1331e56", "Media Encoder Standard", "1.1"},
	{"1b1da727-93ae-4e46-a8a1-268828765609", "Azure Media Encoder", "4.4"},
	{"2e7aa8f3-4961-4e0c-b4db-0e0439e524f5", "Azure Media Encoder", "3.7"},
	{"70bdc2c3-ebf4-42a9-8542-5afc1e55d217", "Windows Azure Media Encoder", "2.3"},
	{"a2f9afe9-7146-4882-a5f7-da4a85e06a93", "Windows Azure Media Packager", "2.8"},
	{"38a620d8-b8dc-4e39-bb2e-7d589587232b", "Windows Azure Media Encryptor", "2.8"},
	{"aec03716-7c5e-4f68-b592-f4850eba9f10", "Storage Decryption", "1.7"},
}

func (mediaProcessors) all() []odata.Entity {
	var out []odata.Entity
	for _, p := range processors {
		out = append(out, odata.Entity{"Id": processorID + p.guid, "Description": p.name, "Name": p.name,
			"Sku": "", "Vendor": "Microsoft", "Version": p.version})
	}
	return out
}

func (m mediaProcessors) Get(_ context.Context, key string) (odata.Entity, error) {
	return byKey(m.all(), "Id", key, "MediaProcessors")
}

func (m mediaProcessors) Query(_ context.Context, q *odata.Query) (*odata.Page, error) {
	return q.Apply(m.all())
}

// byKey finds an entity of a list.
func byKey(list []odata.Entity, property, key, set string) (odata.Entity, error) {
	for _, e := range list {
		if strings.EqualFold(e[property].(string), key) {
			return e, nil
		}
	}
	return nil, odata.NotFound(set)
}

// storageAccounts serves the StorageAccounts set. How many bytes there are is
// not counted: null.
type storageAccounts struct{}

func (storageAccounts) all(ctx context.Context) []odata.Entity {
	a := of(ctx)
	var out []odata.Entity
	for _, s := range a.Storage {
		out = append(out, odata.Entity{"Name": s.Name, "IsDefault": s.Name == a.PrimaryStorage()})
	}
	return out
}

func (s storageAccounts) Get(ctx context.Context, key string) (odata.Entity, error) {
	return byKey(s.all(ctx), "Name", key, "StorageAccounts")
}

func (s storageAccounts) Query(ctx context.Context, q *odata.Query) (*odata.Page, error) {
	return q.Apply(s.all(ctx))
}
