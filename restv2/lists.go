package restv2

import (
	"context"
	"strings"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv2/odata"
)

// mediaProcessors serves the MediaProcessors set: the processors of AMS that
// encode, and those that package, encrypt and decrypt. Whether a task of one
// can run is said when its job is submitted.
type mediaProcessors struct{}

func (mediaProcessors) all() []odata.Entity {
	var out []odata.Entity
	for _, p := range ams.Processors {
		out = append(out, odata.Entity{"Id": processorID + p.ID, "Description": p.Name, "Name": p.Name,
			"Sku": "", "Vendor": "Microsoft", "Version": p.Version})
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

// storageAccounts serves the StorageAccounts set.
type storageAccounts struct{}

func (storageAccounts) all(ctx context.Context) ([]odata.Entity, error) {
	a := of(ctx)
	var out []odata.Entity
	for _, s := range a.Storage {
		n, err := a.StorageBytes(ctx, s.Name)
		if err != nil {
			return nil, err
		}
		out = append(out, odata.Entity{"Name": s.Name, "IsDefault": s.Name == a.PrimaryStorage(), "BytesUsed": n})
	}
	return out, nil
}

func (s storageAccounts) Get(ctx context.Context, key string) (odata.Entity, error) {
	all, err := s.all(ctx)
	if err != nil {
		return nil, err
	}
	return byKey(all, "Name", key, "StorageAccounts")
}

func (s storageAccounts) Query(ctx context.Context, q *odata.Query) (*odata.Page, error) {
	all, err := s.all(ctx)
	if err != nil {
		return nil, err
	}
	return q.Apply(all)
}
