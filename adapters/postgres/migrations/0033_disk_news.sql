-- A disk that fills up is news as well: its alert is evaluated at once, and who watches nodes is told.
DROP TRIGGER nodes_notify ON nodes;
CREATE TRIGGER nodes_notify AFTER UPDATE ON nodes FOR EACH ROW
  WHEN (
    (OLD.state, OLD.cordoned, OLD.hostname, OLD.labels, OLD.disk_level)
      IS DISTINCT FROM (NEW.state, NEW.cordoned, NEW.hostname, NEW.labels, NEW.disk_level)
  )
  EXECUTE FUNCTION notify_node();
