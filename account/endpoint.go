package account

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/openams/openams/ams"
	"github.com/openams/openams/catalog"
)

// EndpointOperations is the Kind of the operations of streaming endpoints.
const EndpointOperations = "streamingendpointoperations"

// keptOperations is how long a finished operation can be polled.
const keptOperations = 30 * 24 * time.Hour

// Endpoint finds a streaming endpoint.
func (a *Account) Endpoint(ctx context.Context, name string) (e *ams.StreamingEndpoint, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		e, err = tx.Endpoint(a.ID, name)
		return err
	})
	return e, err
}

// Endpoints lists one page of streaming endpoints; next is empty on the last.
func (a *Account) Endpoints(ctx context.Context, q catalog.Query) (es []*ams.StreamingEndpoint, next string, err error) {
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		es, next, err = tx.Endpoints(a.ID, q)
		return err
	})
	return es, next, err
}

// StartEndpoint begins to start a streaming endpoint. Starting one that runs
// succeeds and changes nothing. One operation at a time: while another is in
// progress it is a Conflict.
func (a *Account) StartEndpoint(ctx context.Context, name string) (*ams.Operation, error) {
	return a.switchEndpoint(ctx, name, ams.EndpointStarting, ams.EndpointRunning)
}

// StopEndpoint begins to stop a streaming endpoint, by the rules of
// StartEndpoint.
func (a *Account) StopEndpoint(ctx context.Context, name string) (*ams.Operation, error) {
	return a.switchEndpoint(ctx, name, ams.EndpointStopping, ams.EndpointStopped)
}

// switchEndpoint moves an endpoint through one state to another and returns
// the operation that clients poll. The endpoint arrives after the answer.
func (a *Account) switchEndpoint(ctx context.Context, name string, through, to ams.EndpointState) (*ams.Operation, error) {
	op := &ams.Operation{
		ID: uuid.NewString(), Account: a.ID, Kind: EndpointOperations,
		Status: ams.OperationInProgress, Created: a.s.now(),
	}
	err := a.s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		e, err := tx.Endpoint(a.ID, name)
		if err != nil {
			return err
		}
		op.Resource = a.endpointID(e.Name)
		pending, err := tx.PendingOperations(op.Resource)
		if err != nil {
			return err
		}
		if len(pending) > 0 {
			return ams.Errorf(ams.Conflict, "An operation on the streaming endpoint '%s' is in progress: its state is %s.", e.Name, e.State)
		}
		if err := tx.DeleteOperations(a.s.now().Add(-keptOperations)); err != nil {
			return err
		}
		if e.State == to {
			op.Status, op.Ended = ams.OperationSucceeded, a.s.now()
			return tx.InsertOperation(op)
		}
		e.State, e.LastModified, e.LastModifiedBy = through, a.s.now(), caller(ctx)
		if err := tx.UpdateEndpoint(e); err != nil {
			return err
		}
		return tx.InsertOperation(op)
	})
	if err != nil {
		return nil, err
	}
	if op.Status == ams.OperationInProgress {
		pending := *op
		a.s.operations.Go(func() {
			// The operation outlives the request that began it.
			a.s.endOperation(context.WithoutCancel(ctx), &pending)
		})
	}
	return op, nil
}

// endpointID is the resource id of a streaming endpoint, all lower case: the
// key of its operations.
func (a *Account) endpointID(name string) string {
	return fmt.Sprintf("/subscriptions/%s/resourceGroups/%s/providers/Microsoft.Media/mediaservices/%s/streamingendpoints/%s",
		a.SubscriptionID, a.ResourceGroup, a.Name, name)
}

// endOperation does what a pending operation began and records how it ended.
func (s *Server) endOperation(ctx context.Context, op *ams.Operation) {
	if err := s.finishEndpoint(ctx, op); err != nil {
		// It stays InProgress; Recover ends it at the next start.
		s.Log.ErrorContext(ctx, "operation", "operation", op.ID, "resource", op.Resource, "error", err)
	}
}

// finishEndpoint lets the endpoint of op arrive where its state says.
func (s *Server) finishEndpoint(ctx context.Context, op *ams.Operation) error {
	e, err := s.operated(ctx, op)
	if err != nil {
		return err
	}
	was := e.State
	var failed error
	if s.Follow != nil {
		failed = s.Follow(ctx, e)
	}
	return s.Catalog.Update(ctx, func(tx *catalog.Tx) error {
		e, err := tx.Endpoint(op.Account, e.Name)
		if err != nil {
			return err
		}
		starts := was == ams.EndpointStarting
		op.Status, op.Ended = ams.OperationSucceeded, s.now()
		if failed != nil {
			starts = !starts // back to where it came from
			op.Status, op.Code, op.Message = ams.OperationFailed, "InternalServerError", failed.Error()
		}
		e.State = ams.EndpointStopped
		if starts {
			e.State = ams.EndpointRunning
		}
		if err := tx.UpdateEndpoint(e); err != nil {
			return err
		}
		return tx.UpdateOperation(op)
	})
}

// operated finds the endpoint of an operation.
func (s *Server) operated(ctx context.Context, op *ams.Operation) (*ams.StreamingEndpoint, error) {
	a, err := s.ByID(ctx, op.Account)
	if err != nil {
		return nil, err
	}
	endpoints, _, err := a.Endpoints(ctx, catalog.Query{})
	if err != nil {
		return nil, err
	}
	for _, e := range endpoints {
		if a.endpointID(e.Name) == op.Resource {
			return e, nil
		}
	}
	return nil, ams.Errorf(ams.NotFound, "The streaming endpoint of the operation was not found.")
}

// Operation finds a long-running operation of the account.
func (a *Account) Operation(ctx context.Context, id string) (op *ams.Operation, err error) {
	id = normalID(id)
	err = a.s.Catalog.View(ctx, func(tx *catalog.Tx) error {
		op, err = tx.Operation(a.ID, id)
		return err
	})
	return op, err
}

// Recover ends the operations that a kill left in progress. It is called once
// before requests are served.
func (s *Server) Recover(ctx context.Context) error {
	var pending []*ams.Operation
	err := s.Catalog.View(ctx, func(tx *catalog.Tx) (err error) {
		pending, err = tx.PendingOperations("")
		return err
	})
	if err != nil {
		return err
	}
	for _, op := range pending {
		if op.Kind != EndpointOperations {
			continue
		}
		if err := s.finishEndpoint(ctx, op); err != nil {
			return fmt.Errorf("operation %s: %w", op.ID, err)
		}
	}
	return nil
}
