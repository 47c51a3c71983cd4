package account

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// The methods of this file are for settings of v2 that are kept without an
// effect.

// Bounds of telemetry. AMS documents neither.
const (
	maxMonitoring        = 10
	maxMonitoringSetting = 64 // of one configuration, and characters of each word
)

// set changes the record of the account.
func (a *Account) set(ctx context.Context, do func(*ams.Account) error) error {
	return a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		now, err := tx.AccountByID(a.ID)
		if err != nil {
			return err
		}
		if err := do(now); err != nil {
			return err
		}
		return tx.UpdateAccount(now)
	})
}

// SetReservedUnits keeps what a client reserves.
func (a *Account) SetReservedUnits(ctx context.Context, change func(*ams.ReservedUnits)) error {
	return a.set(ctx, func(now *ams.Account) error {
		change(&now.Units)
		return now.Units.Validate()
	})
}

// CreateMonitoring keeps a monitoring configuration.
func (a *Account) CreateMonitoring(ctx context.Context, m ams.MonitoringConfiguration) (*ams.MonitoringConfiguration, error) {
	m.ID, m.Created = uuid.NewString(), a.s.now()
	m.LastModified = m.Created
	if err := checkMonitoring(&m); err != nil {
		return nil, err
	}
	return &m, a.set(ctx, func(now *ams.Account) error {
		if len(now.Monitoring) >= maxMonitoring {
			return full("monitoring configurations in the account", maxMonitoring)
		}
		now.Monitoring = append(now.Monitoring, m)
		return nil
	})
}

func checkMonitoring(m *ams.MonitoringConfiguration) error {
	if len(m.Settings) > maxMonitoringSetting {
		return ams.Invalidf("Settings", "There are more than %d settings.", maxMonitoringSetting)
	}
	for _, s := range m.Settings {
		switch {
		case s.Component == "" || len(s.Component) > maxMonitoringSetting:
			return ams.Invalidf("Settings", "A component has 1 to %d characters.", maxMonitoringSetting)
		case s.Level != "Disabled" && s.Level != "Normal" && s.Level != "Verbose":
			return ams.Invalidf("Settings", "The level of a component is Disabled, Normal or Verbose.")
		}
	}
	return short("NotificationEndPointId", m.Endpoint, maxAlternateID)
}

func monitoring(a *ams.Account, id string) int {
	return slices.IndexFunc(a.Monitoring, func(m ams.MonitoringConfiguration) bool { return m.ID == strings.ToLower(id) })
}

var noMonitoring = ams.Errorf(ams.NotFound, "The monitoring configuration was not found.")

// UpdateMonitoring changes a monitoring configuration.
func (a *Account) UpdateMonitoring(ctx context.Context, id string, change func(*ams.MonitoringConfiguration)) error {
	return a.set(ctx, func(now *ams.Account) error {
		i := monitoring(now, id)
		if i < 0 {
			return noMonitoring
		}
		m := &now.Monitoring[i]
		change(m)
		m.LastModified = a.s.now()
		return checkMonitoring(m)
	})
}

// DeleteMonitoring forgets a monitoring configuration.
func (a *Account) DeleteMonitoring(ctx context.Context, id string) error {
	return a.set(ctx, func(now *ams.Account) error {
		i := monitoring(now, id)
		if i < 0 {
			return noMonitoring
		}
		now.Monitoring = slices.Delete(now.Monitoring, i, i+1)
		return nil
	})
}
