-- Replicas of a lost node are replaced by an operation of their own kind.
ALTER TABLE operations DROP CONSTRAINT operations_kind;
ALTER TABLE operations ADD CONSTRAINT operations_kind CHECK (
  kind IN ('deploy', 'update', 'rollback', 'scale', 'restart', 'stop', 'start', 'heal', 'remove')
);

-- What a lost node had is out of the routes, and back in them with the node.
CREATE CONSTRAINT TRIGGER nodes_generation AFTER UPDATE ON nodes
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  WHEN ((OLD.state = 'lost') IS DISTINCT FROM (NEW.state = 'lost'))
  EXECUTE FUNCTION move_ingress_generation();
