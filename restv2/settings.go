package restv2

import (
	"context"
	"net/url"
	"strings"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/restv2/odata"
)

// registerSettings adds what is kept for the clients that write it and has no
// effect here: reserved encoding units and telemetry.
func registerSettings(c *odata.Config) {
	c.Sets["EncodingReservedUnitTypes"] = reservedUnits{}
	c.Sets["MonitoringConfigurations"] = monitoringConfigurations{}
	c.Calls["NotificationEndPoints/GetMonitoringSasUris"] = func(ctx context.Context, key string, _ odata.Entity) (*odata.Result, error) {
		// There are no tables of metrics, and so no URL to one.
		_, err := of(ctx).NotificationEndpoint(ctx, endpointGUID(key))
		return &odata.Result{Value: []any{}}, err
	}
}

// reservedUnits serves the EncodingReservedUnitTypes set: one row, whose key is
// the guid of the account.
type reservedUnits struct{}

func (reservedUnits) all(ctx context.Context) []odata.Entity {
	a := of(ctx)
	return []odata.Entity{{"AccountId": a.ID, "ReservedUnitType": a.Units.Type, "MaxReservableUnits": ams.MaxReservedUnits, "CurrentReservedUnits": a.Units.Count}}
}

func (u reservedUnits) Get(ctx context.Context, key string) (odata.Entity, error) {
	return byKey(u.all(ctx), "AccountId", key, "EncodingReservedUnitTypes")
}

func (u reservedUnits) Query(ctx context.Context, q *odata.Query) (*odata.Page, error) {
	return q.Apply(u.all(ctx))
}

func (reservedUnits) Update(ctx context.Context, key string, change odata.Entity) (*odata.Result, error) {
	if !strings.EqualFold(key, of(ctx).ID) {
		return nil, odata.NotFound("EncodingReservedUnitTypes")
	}
	return nil, of(ctx).SetReservedUnits(ctx, func(u *ams.ReservedUnits) {
		for name, at := range map[string]*int{"ReservedUnitType": &u.Type, "CurrentReservedUnits": &u.Count} {
			if n, ok := change[name].(int64); ok {
				*at = int(n)
			}
		}
	})
}

// monitoringConfigurations serves the MonitoringConfigurations set. An account
// has few.
type monitoringConfigurations struct{}

func (monitoringConfigurations) all(ctx context.Context) []odata.Entity {
	out := []odata.Entity{}
	for _, m := range of(ctx).Monitoring {
		out = append(out, monitoringEntity(&m))
	}
	return out
}

func (m monitoringConfigurations) Get(ctx context.Context, key string) (odata.Entity, error) {
	return byKey(m.all(ctx), "Id", key, "MonitoringConfigurations")
}

func (m monitoringConfigurations) Query(ctx context.Context, q *odata.Query) (*odata.Page, error) {
	return q.Apply(m.all(ctx))
}

func (monitoringConfigurations) Create(ctx context.Context, in *odata.Insert) (*odata.Result, error) {
	var m ams.MonitoringConfiguration
	if err := applyMonitoring(ctx, &m, in.Values); err != nil {
		return nil, err
	}
	made, err := of(ctx).CreateMonitoring(ctx, m)
	if err != nil {
		return nil, err
	}
	return &odata.Result{Entity: monitoringEntity(made)}, nil
}

func (monitoringConfigurations) Update(ctx context.Context, key string, change odata.Entity) (*odata.Result, error) {
	var m ams.MonitoringConfiguration
	if err := applyMonitoring(ctx, &m, change); err != nil {
		return nil, err
	}
	return nil, of(ctx).UpdateMonitoring(ctx, guid(monitoringID, key), func(now *ams.MonitoringConfiguration) {
		if change["NotificationEndPointId"] != nil {
			now.Endpoint = m.Endpoint
		}
		if _, ok := change["Settings"]; ok {
			now.Settings = m.Settings
		}
	})
}

func (monitoringConfigurations) Delete(ctx context.Context, key string, _ url.Values) (*odata.Result, error) {
	return nil, of(ctx).DeleteMonitoring(ctx, guid(monitoringID, key))
}

// applyMonitoring writes what v names into m, whose notification endpoint must
// exist.
func applyMonitoring(ctx context.Context, m *ams.MonitoringConfiguration, v odata.Entity) error {
	if id, ok := v["NotificationEndPointId"].(string); ok {
		e, err := of(ctx).NotificationEndpoint(ctx, endpointGUID(id))
		if err != nil {
			return err
		}
		m.Endpoint = notificationID + e.ID
	}
	items, _ := v["Settings"].([]any)
	for _, item := range items {
		e, _ := item.(odata.Entity)
		var s ams.MonitoringSetting
		s.Component, _ = e["Component"].(string)
		s.Level, _ = e["Level"].(string)
		m.Settings = append(m.Settings, s)
	}
	return nil
}

func monitoringEntity(m *ams.MonitoringConfiguration) odata.Entity {
	settings := []any{}
	for _, s := range m.Settings {
		settings = append(settings, odata.Entity{"Component": s.Component, "Level": s.Level})
	}
	return odata.Entity{"Id": monitoringID + m.ID, "NotificationEndPointId": m.Endpoint, "Created": m.Created, "LastModified": m.LastModified, "Settings": settings}
}
